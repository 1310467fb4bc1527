//! What is used of the issuer's metadata (RFC 8414 section 2, and Doorward's own members).
//!
//! `issuer` in the document must be exactly the one that was asked (section 3.3), and every address must have
//! its origin: the API's credential is sent there.

use doorward_core::json::{self, Map, Value};
use url::Url;

use super::issuer::IssuerUrl;

/// Where the issuer answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Endpoints {
    pub(super) jwks: Url,
    pub(super) introspection: Option<Url>,
    pub(super) key_verification: Url,
    pub(super) legacy_uses: Url,
    /// Whether key verification takes the caller's address and the scopes of the route. Older issuers refuse a question that has
    /// an address.
    pub(super) takes_address: bool,
    /// Whether it takes the origin of the page that sent the key. Older issuers have no publishable keys.
    pub(super) takes_origin: bool,
    /// Whether it takes how often the guard has used its own copy of a verdict since.
    pub(super) takes_uses: bool,
    pub(super) refusals: Url,
}

/// A document that can't be the issuer's metadata.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidMetadata {
    #[error("the metadata is not an acceptable JSON object")]
    Json,
    #[error("the metadata's `issuer` is not exactly the issuer that was asked")]
    Issuer,
    #[error("the metadata's `{0}` is missing or not a URL")]
    Missing(&'static str),
    #[error("the metadata's `{0}` is at another origin than the issuer")]
    Origin(&'static str),
}

impl Endpoints {
    pub(super) fn parse(document: &[u8], issuer: &IssuerUrl) -> Result<Self, InvalidMetadata> {
        let document = json::parse_object(document).map_err(|_| InvalidMetadata::Json)?;
        if document.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
            return Err(InvalidMetadata::Issuer);
        }
        let own = |name, path| match endpoint(&document, name, issuer)? {
            Some(stated) => Ok(stated),
            None => issuer.at(path).ok_or(InvalidMetadata::Missing(name)),
        };
        let takes = |name| {
            let members = document.get("doorward_key_verification_members_supported").and_then(Value::as_array);
            members.is_some_and(|members| members.iter().any(|member| member == name))
        };
        Ok(Self {
            jwks: endpoint(&document, "jwks_uri", issuer)?.ok_or(InvalidMetadata::Missing("jwks_uri"))?,
            introspection: endpoint(&document, "introspection_endpoint", issuer)?,
            key_verification: own("doorward_key_verification_endpoint", "/v1/keys/verify")?,
            legacy_uses: own("doorward_legacy_uses_endpoint", "/v1/audit/legacy-uses")?,
            takes_address: takes("address"),
            takes_origin: takes("origin"),
            takes_uses: takes("uses"),
            refusals: own("doorward_refusals_endpoint", "/v1/audit/refusals")?,
        })
    }
}

fn endpoint(
    document: &Map<String, Value>,
    name: &'static str,
    issuer: &IssuerUrl,
) -> Result<Option<Url>, InvalidMetadata> {
    let Some(value) = document.get(name) else { return Ok(None) };
    let url = value.as_str().and_then(|text| Url::parse(text).ok()).ok_or(InvalidMetadata::Missing(name))?;
    if !issuer.has_origin_of(&url) {
        return Err(InvalidMetadata::Origin(name));
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example/tenant";

    fn parse(document: &Value) -> Result<Endpoints, InvalidMetadata> {
        Endpoints::parse(document.to_string().as_bytes(), &IssuerUrl::parse(ISSUER).unwrap())
    }

    #[test]
    fn doorwards_own_endpoints_have_a_default_below_the_issuer() {
        let endpoints = parse(&json!({"issuer": ISSUER, "jwks_uri": "https://issuer.example/jwks"})).unwrap();
        assert_eq!(endpoints.key_verification.as_str(), "https://issuer.example/tenant/v1/keys/verify");
        assert_eq!(endpoints.refusals.as_str(), "https://issuer.example/tenant/v1/audit/refusals");
        assert_eq!((endpoints.introspection, endpoints.takes_address, endpoints.takes_uses), (None, false, false));
        assert!(!endpoints.takes_origin);
    }

    #[test]
    fn address_is_sent_only_to_an_issuer_that_takes_it() {
        for (members, takes_address) in
            [(json!(["address", "key"]), true), (json!(["key"]), false), (json!("address"), false)]
        {
            let endpoints = parse(&json!({"issuer": ISSUER, "jwks_uri": "https://issuer.example/jwks",
                "doorward_key_verification_members_supported": members}));
            assert_eq!(endpoints.unwrap().takes_address, takes_address);
        }
    }

    #[test]
    fn another_issuer_and_another_origin_are_refused() {
        let jwks = "https://issuer.example/jwks";
        for issuer in ["https://issuer.example/tenant/", "https://issuer.example", "https://ISSUER.example/tenant"] {
            let refused = parse(&json!({"issuer": issuer, "jwks_uri": jwks}));
            assert!(matches!(refused, Err(InvalidMetadata::Issuer)), "{issuer}");
        }
        for elsewhere in ["https://other.example/x", "http://issuer.example/x", "https://issuer.example:444/x"] {
            let jwks_refused = parse(&json!({"issuer": ISSUER, "jwks_uri": elsewhere}));
            assert!(matches!(jwks_refused, Err(InvalidMetadata::Origin("jwks_uri"))), "{elsewhere}");
            let document = json!({"issuer": ISSUER, "jwks_uri": jwks, "doorward_key_verification_endpoint": elsewhere});
            assert!(matches!(parse(&document), Err(InvalidMetadata::Origin(_))), "{elsewhere}");
        }
        assert!(matches!(parse(&json!({"issuer": ISSUER})), Err(InvalidMetadata::Missing("jwks_uri"))));
        assert!(matches!(parse(&json!([])), Err(InvalidMetadata::Json)));
    }
}
