//! Which identifiers a new API can have, beside those of others and the issuer's.
//!
//! [`ResourceIdentifier`] is compared exactly. But a library that normalises URLs takes two spellings for the same one, and
//! then a token for one API opens the other.

use url::Url;

use crate::refusal::Mistake;
use crate::{api::ResourceIdentifier, grant::audience::Apis};

/// Refuses the issuer as the identifier of an API: it is the audience of what is meant for the server itself.
pub fn check_identifier(identifier: &ResourceIdentifier, issuer: &str) -> Result<(), Mistake> {
    match normalised(identifier.as_str()) == normalised(issuer) {
        true => Err(Mistake::at("identifier", "the issuer itself, which is no API: add a path of the API")),
        false => Ok(()),
    }
}

/// In words, which API has the identifier already, in another spelling of the same URL.
pub fn identified_alike(identifier: &ResourceIdentifier, others: &Apis) -> Option<String> {
    let asked = normalised(identifier.as_str());
    let other = others.iter().find(|other| normalised(other.metadata.identifier.as_str()) == asked)?;
    let (name, known) = (&other.metadata.name, other.metadata.identifier.as_str());
    Some(format!("the API {name:?} has the identifier {known:?}, which is the same URL"))
}

/// One text for all spellings of a URL: without its default port, final slashes and an empty query, with its scheme and
/// host in lower case.
fn normalised(uri: &str) -> String {
    let Ok(mut url) = Url::parse(uri) else { return uri.to_owned() };
    if url.query() == Some("") {
        url.set_query(None);
    }
    if url.has_host() {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registration::tests::api;

    fn parsed(text: &str) -> ResourceIdentifier {
        ResourceIdentifier::parse(text).unwrap()
    }

    #[test]
    fn api_is_not_identified_by_the_issuer_in_any_spelling() {
        for issuer in ["https://id.example", "https://id.example/"] {
            for same in ["https://id.example", "https://id.example/", "HTTPS://ID.example:443", "https://id.example/?"]
            {
                let refused = check_identifier(&parsed(same), issuer).map_err(|mistake| mistake.pointer);
                assert_eq!(refused, Err("/identifier".to_owned()), "{same}");
            }
            for other in ["https://id.example/v1", "http://id.example", "https://id.example:8443", "urn:id.example"] {
                assert_eq!(check_identifier(&parsed(other), issuer), Ok(()), "{other}");
            }
        }
    }

    #[test]
    fn identifiers_that_are_one_url_are_taken() {
        let others = Apis::new(vec![
            Arc::new(api("notes", "https://notes.example/v1", "notes:read")),
            Arc::new(api("mails", "urn:Mails", "mails:read")),
        ]);
        for same in ["https://notes.example/v1/", "HTTPS://notes.EXAMPLE/v1", "https://notes.example:443/x/../v1"] {
            assert!(identified_alike(&parsed(same), &others).is_some_and(|why| why.contains("notes")), "{same}");
        }
        for other in
            ["https://notes.example/V1", "https://notes.example/v1/x", "https://notes.example/v1?x", "urn:mails"]
        {
            assert_eq!(identified_alike(&parsed(other), &others), None, "{other}");
        }
    }
}
