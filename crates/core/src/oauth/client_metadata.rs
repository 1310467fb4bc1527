//! Client metadata (RFC 7591 section 2): what is registered of a client. It is created, changed, stored, shown and
//! exported as this one type.
//!
//! A member that is missing has its default. A member that is not known is skipped: a newer program may have stored it.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    client::{AuthenticationMethod, GrantType},
    holder::Owner,
    id::ApiId,
    json,
    jwk::{Algorithm, KeySet},
    redirect_uri::RedirectUri,
    rights::Limits,
    scope::ScopeSet,
};

/// What is registered of a client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ClientMetadata {
    /// Its name, shown to users.
    pub client_name: String,
    /// The address of a web page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// The method by which the client authenticates, or `none`.
    pub token_endpoint_auth_method: AuthenticationMethod,
    /// The grant types that it may use.
    pub grant_types: BTreeSet<GrantType>,
    /// The registered redirect URIs.
    pub redirect_uris: Vec<RedirectUri>,
    /// The registered redirect URIs for after sign-out (OpenID Connect RP-Initiated Logout section 3.1).
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// The scopes that it may request.
    pub scope: ScopeSet,
    /// The scopes of a client_credentials request without `scope`.
    pub default_scope: ScopeSet,
    /// The algorithm that signs its ID tokens (OpenID Connect Registration section 2).
    pub id_token_signed_response_alg: Algorithm,
    /// The user claims in its ID tokens.
    pub id_token_claims: IdTokenClaims,
    /// What its authorization requests must contain.
    pub profile: ClientProfile,
    /// Its public keys, for `private_key_jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<ClientKeys>,
    /// Whether its assertions may name the token endpoint instead of the issuer in `aud`.
    pub assertion_for_token_endpoint: bool,
    /// Of a client of the management API: the APIs that it may manage; all if empty. Requests and answers name them, see
    /// [`ClientSettings`](crate::client_settings::ClientSettings).
    #[cfg_attr(feature = "openapi", schema(ignore))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limited_to: Vec<ApiId>,
    /// Of a client of the management API: the owners whose things it may manage; all if empty.
    #[cfg_attr(feature = "openapi", schema(ignore))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limited_to_owners: Vec<Owner>,
}

impl ClientMetadata {
    /// RS256, which every client knows (OpenID Connect Registration section 2).
    pub const DEFAULT_ID_TOKEN_ALGORITHM: Algorithm = Algorithm::RS256;

    /// What it is limited to at the management API.
    pub fn limits(&self) -> Limits {
        Limits { apis: self.limited_to.clone(), owners: self.limited_to_owners.clone() }
    }
}

impl Default for ClientMetadata {
    fn default() -> Self {
        Self {
            client_name: String::new(),
            client_uri: None,
            token_endpoint_auth_method: AuthenticationMethod::default(),
            grant_types: BTreeSet::new(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            scope: ScopeSet::default(),
            default_scope: ScopeSet::default(),
            id_token_signed_response_alg: Self::DEFAULT_ID_TOKEN_ALGORITHM,
            id_token_claims: IdTokenClaims::default(),
            profile: ClientProfile::default(),
            jwks: None,
            assertion_for_token_endpoint: false,
            limited_to: Vec::new(),
            limited_to_owners: Vec::new(),
        }
    }
}

/// The user claims in a client's ID tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdTokenClaims {
    /// Who signed in, and nothing else: the client asks `/userinfo`.
    Minimal,
    /// The claims of the granted scopes, as at `/userinfo`.
    #[default]
    Scopes,
}

impl IdTokenClaims {
    /// Both choices, the default first.
    pub const ALL: [Self; 2] = [Self::Scopes, Self::Minimal];

    /// The choice as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Scopes => "scopes",
        }
    }
}

/// What a client's authorization requests must contain.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum ClientProfile {
    /// PKCE, always (OAuth 2.1 section 4.1.1).
    #[default]
    #[serde(rename = "oauth-2.1")]
    OAuth21,
    /// What OpenID Connect's Basic profile requires: neither PKCE nor `nonce`. For older confidential clients.
    #[serde(rename = "oidc-basic")]
    OidcBasic,
}

impl ClientProfile {
    /// Both profiles, the default first.
    pub const ALL: [Self; 2] = [Self::OAuth21, Self::OidcBasic];

    /// The profile as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OAuth21 => "oauth-2.1",
            Self::OidcBasic => "oidc-basic",
        }
    }
}

/// The public keys of a client: a JWK set (RFC 7517 section 5) with at least one key that can be used, parsed once.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct ClientKeys {
    document: Map<String, Value>,
    keys: Arc<KeySet>,
}

/// A document without a usable key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a JWK set with at least one usable public key")]
pub struct InvalidClientKeys;

impl ClientKeys {
    /// Reads a JWK set.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidClientKeys> {
        json::parse_object(document).map_err(|_| InvalidClientKeys)?.try_into()
    }

    /// The usable keys of the set, parsed.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The names of the keys; of one without a name, its thumbprint (RFC 7638).
    pub fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.kid().map_or_else(|| key.thumbprint(), str::to_owned)).collect()
    }
}

impl TryFrom<Map<String, Value>> for ClientKeys {
    type Error = InvalidClientKeys;

    fn try_from(document: Map<String, Value>) -> Result<Self, InvalidClientKeys> {
        let keys = KeySet::of(&document).ok().filter(|keys| !keys.is_empty()).ok_or(InvalidClientKeys)?;
        Ok(Self { document, keys: Arc::new(keys) })
    }
}

impl From<ClientKeys> for Map<String, Value> {
    fn from(keys: ClientKeys) -> Self {
        keys.document
    }
}

impl Eq for ClientKeys {}

impl PartialEq for ClientKeys {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::{jwk::SigningKey, random::SeededRng};

    fn keys(kid: Option<&str>) -> ClientKeys {
        let mut jwk = SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(1)).unwrap().public_jwk();
        jwk.remove("kid");
        jwk.extend(kid.map(|kid| ("kid".to_owned(), kid.into())));
        ClientKeys::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn keys_are_named_by_kid_or_thumbprint() {
        assert_eq!(keys(Some("k1")).ids(), ["k1"]);
        let unnamed = keys(None);
        assert_eq!(unnamed.ids(), [unnamed.keys().iter().next().unwrap().thumbprint()]);
    }

    #[test]
    fn keys_read_back_and_equal_the_same_document() {
        let written = serde_json::to_value(keys(Some("k1"))).unwrap();
        assert_eq!(serde_json::from_value::<ClientKeys>(written).unwrap(), keys(Some("k1")));
        assert_ne!(keys(Some("k1")), keys(Some("k2")));
    }

    #[test]
    fn choices_are_written_as_they_are_stored() {
        for choice in IdTokenClaims::ALL {
            assert_eq!(serde_json::to_value(choice).unwrap(), choice.as_str());
        }
        for profile in ClientProfile::ALL {
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.as_str());
        }
    }
}
