//! An authorization request, to be sent as it is or with a change.

use super::world::Registered;

/// The verifier of RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The parameters of an authorization request, in their order.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest(Vec<(String, String)>);

impl AuthorizationRequest {
    /// A request that is right in everything.
    pub(crate) fn of(client: &Registered) -> Self {
        let pairs = [
            ("client_id", client.id.as_str()),
            ("redirect_uri", &client.redirect_uri),
            ("response_type", "code"),
            ("scope", "openid profile email offline_access notes:read notes:write"),
            ("state", "xyz"),
            ("nonce", "n-0S6_WzA2Mj"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// The request with another value of a parameter.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// The request with a parameter more, also where there is one of this name.
    pub(crate) fn and(&self, name: &str, value: &str) -> Self {
        let mut request = self.clone();
        request.0.push((name.to_owned(), value.to_owned()));
        request
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|pair| pair.0 != name).cloned().collect())
    }

    /// The request without PKCE.
    pub(crate) fn without_pkce(&self) -> Self {
        self.without("code_challenge").without("code_challenge_method")
    }

    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The path with the query.
    pub(crate) fn path(&self) -> String {
        format!("/authorize?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish())
    }
}
