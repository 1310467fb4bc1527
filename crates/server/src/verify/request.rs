//! A caller's request, verified on behalf of an API that passes on the parts that can carry a credential.
//!
//! Easy to get wrong: choosing between credentials. A request with two of them, or with one in its URL, is refused, as the
//! guard refuses it.

use std::{net::IpAddr, sync::Arc};

use doorward_core::{
    api::Api,
    credential,
    denial::Denial,
    policy::{self, Requirement},
    refusal::Refusal,
};

use doorward_guard::Verified;

use super::{LocalVerifier, api_key::Use};
use crate::app::App;

/// What an API passes on of its caller's request. Each header has all of its values.
pub(crate) struct Presented {
    pub(crate) authorization: Vec<String>,
    pub(crate) x_api_key: Vec<String>,
    pub(crate) method: String,
    /// The request target as the caller sent it: usually the path with its query.
    pub(crate) uri: String,
    /// What the route demands.
    pub(crate) requirement: Requirement,
    /// The caller's address, if the API knows it.
    pub(crate) address: Option<IpAddr>,
}

/// Why a caller is refused, and who it is, if that is known.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) principal: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, principal: None }
    }
}

impl Presented {
    /// The path alone: what is before and behind it may hold a password or a token.
    pub(crate) fn path(&self) -> &str {
        let path = self.uri.split(['?', '#']).next().unwrap_or_default();
        match path.split_once("://") {
            Some((_, behind)) if !path.starts_with('/') => behind.find('/').map_or("/", |at| &behind[at..]),
            _ => path,
        }
    }

    /// Everything behind the path as one query: a caller may also send a fragment.
    fn query(&self) -> Option<String> {
        self.uri.split_once(['?', '#']).map(|(_, query)| query.replace(['?', '#'], "&"))
    }
}

/// The principal of the request, which meets what the route demands, and the limits of its key.
pub(crate) async fn verify(app: &Arc<App>, api: &Api, presented: &Presented) -> Result<Verified, Refused> {
    let (authorization, query) = (presented.authorization.iter().map(String::as_bytes), presented.query());
    let x_api_key = presented.x_api_key.iter().map(String::as_bytes);
    let credential = credential::present(authorization, x_api_key, query.as_deref()).map_err(Refusal::from)?;
    let credential = credential.ok_or_else(|| Refusal::from(Denial::CredentialMissing))?;
    let verifier = LocalVerifier::new(app.clone(), api.metadata.identifier.clone());
    let used = Use { address: presented.address, requirement: &presented.requirement };
    let verified = verifier.find(&credential, used).await?;
    match policy::authorize(&verified.principal, &presented.requirement) {
        Ok(()) => Ok(verified),
        Err(refusal) => Err(Refused { refusal, principal: Some(verified.principal.subject.clone()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(uri: &str) -> Presented {
        let (method, uri) = ("GET".to_owned(), uri.to_owned());
        let requirement = Requirement::authenticated();
        Presented { authorization: Vec::new(), x_api_key: Vec::new(), method, uri, requirement, address: None }
    }

    #[test]
    fn path_holds_neither_authority_nor_query_nor_fragment() {
        for (uri, path) in [
            ("/notes?page=2", "/notes"),
            ("/notes#a?b", "/notes"),
            ("http://user:password@api.example/notes?a", "/notes"),
            ("https://api.example", "/"),
            ("/go?to=http://api.example/x", "/go"),
            ("/go/http://api.example/x", "/go/http://api.example/x"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(presented(uri).path(), path, "{uri}");
        }
    }

    #[test]
    fn everything_behind_the_path_is_searched_for_credentials() {
        for uri in ["/a?api_key=x", "/a#api_key=x", "/a?b=c#api_key=x", "/a#b?api_key=x"] {
            assert!(presented(uri).query().is_some_and(|query| credential::query_has_credential(&query)), "{uri}");
        }
        assert_eq!(presented("/a").query(), None);
    }
}
