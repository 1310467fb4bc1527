//! `WWW-Authenticate` (RFC 9110 section 11.6.1) as RFC 6750 section 3 and RFC 9728 section 5.1 require it.
//!
//! Every value is a quoted string: clients in the field fail on bare ones.

use crate::{denial::Denial, refusal::Refusal};

/// The challenge for a refusal at an API whose metadata is at `resource_metadata`. `None` where another credential
/// would not help the caller: a missing role must not look like a missing scope, nor a refused address.
pub fn bearer(refusal: &Refusal, resource_metadata: Option<&str>) -> Option<String> {
    let denial = refusal.denial;
    let is_about_credentials = matches!(denial, Denial::CredentialInQuery | Denial::CredentialMultiple);
    // A client that failed to authenticate is challenged in its own scheme.
    if !(matches!(denial.status(), 401 | 403) || is_about_credentials) || denial.is_invalid_client() {
        return None;
    }
    let mut parameters = Vec::new();
    // A request without any credential gets no error code (RFC 6750 section 3.1).
    if !denial.error().is_empty() {
        parameters.push(format!("error=\"{}\"", denial.error()));
        parameters.push(format!("error_description=\"{}\"", ascii(&refusal.sentence())));
    }
    if denial == Denial::InsufficientScope
        && let Some(scopes) = &refusal.required_scopes
    {
        parameters.push(format!("scope=\"{scopes}\""));
    }
    if matches!(denial, Denial::InsufficientPermission | Denial::KeyInBrowser) || denial.is_about_one_use() {
        return None;
    }
    parameters.extend(resource_metadata.map(|url| format!("resource_metadata=\"{url}\"")));
    // At least one parameter must follow the scheme (RFC 6750 section 3).
    if parameters.is_empty() {
        parameters.push(format!("realm=\"{REALM}\""));
    }
    Some(format!("Bearer {}", parameters.join(", ")))
}

/// The protection space (RFC 9110 section 11.5), if nothing else names it.
const REALM: &str = "doorward";

/// The challenge for a client that failed to authenticate with Basic (RFC 6749 section 5.2).
pub const BASIC: &str = "Basic realm=\"doorward\", charset=\"UTF-8\"";

/// Header values and `error_description` (RFC 6749 section 5.2) are ASCII.
pub fn ascii(sentence: &str) -> String {
    sentence.replace('…', "...").chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    const METADATA: &str = "https://api.example/.well-known/oauth-protected-resource";

    #[test]
    fn without_a_credential_there_is_no_error() {
        assert_eq!(
            bearer(&Denial::CredentialMissing.into(), Some(METADATA)).unwrap(),
            format!("Bearer resource_metadata=\"{METADATA}\"")
        );
        assert_eq!(bearer(&Denial::CredentialMissing.into(), None).unwrap(), "Bearer realm=\"doorward\"");
    }

    #[test]
    fn a_missing_scope_is_named() {
        let refusal = Refusal::new(Denial::InsufficientScope).required_scopes(ScopeSet::parse("a b").unwrap());
        let challenge = bearer(&refusal, None).unwrap();
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""));
        assert!(challenge.ends_with("scope=\"a b\""));
    }

    #[test]
    fn a_missing_role_does_not_look_like_a_missing_scope() {
        assert_eq!(bearer(&Denial::InsufficientPermission.into(), Some(METADATA)), None);
        assert_eq!(bearer(&Denial::KeyInBrowser.into(), Some(METADATA)), None);
    }

    #[test]
    fn every_challenge_reads_back_by_the_grammar_of_rfc_9110() {
        for denial in Denial::ALL {
            let Some(challenge) = bearer(&(*denial).into(), Some(METADATA)) else { continue };
            let rest = challenge.strip_prefix("Bearer").unwrap().trim_start();
            for parameter in rest.split("\", ") {
                let (name, value) = parameter.split_once("=\"").expect("name=\"value\"");
                assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{challenge}");
                assert!(!value.trim_end_matches('"').contains(['"', '\\']), "{challenge}");
                assert!(value.is_ascii(), "{challenge}");
            }
        }
    }

    #[test]
    fn challenge_is_for_credentials_and_scopes_only() {
        let is_challenged = |denial: Denial| bearer(&denial.into(), None).is_some();
        for denial in [Denial::CredentialInQuery, Denial::CredentialMultiple, Denial::KeyUnknown] {
            assert!(is_challenged(denial), "{denial}");
        }
        for denial in [Denial::BodyMalformed, Denial::ClientSecretWrong, Denial::VerifierUnavailable] {
            assert!(!is_challenged(denial), "{denial}");
        }
        let refusal = Refusal::new(Denial::KeyUnknown).required_scopes(ScopeSet::parse("a").unwrap());
        assert!(!bearer(&refusal, None).unwrap().contains("scope="), "another scope would not help");
    }

    #[test]
    fn sentences_become_printable_ascii_without_quotes() {
        assert_eq!(ascii("a…b \"c\" \\ \u{e4}~"), "a...b c  ~");
    }
}
