//! The principal: the party behind a verified credential, and what it was granted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    api::{ResourceIdentifier, Role},
    clock::Timestamp,
    scope::ScopeSet,
};

/// What kind of party a principal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A client that acts for itself (client_credentials).
    Client,
    /// The holder of an API key.
    Key,
    /// A user, through a client.
    User,
}

/// The kind of credential that a principal used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// An access token in the form of a JWT (RFC 9068).
    AccessTokenJwt,
    /// An opaque access token, known by introspection (RFC 7662).
    AccessTokenOpaque,
    /// An API key, known by its digest.
    ApiKey,
    /// An API key that is public. It says from which page a request comes, and not who sends it.
    PublishableKey,
}

/// A verified party. In an API, only the guard creates one.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Principal {
    /// What kind of party it is.
    pub kind: PrincipalKind,
    /// Its identifier: of the user, the client or the key (RFC 9068 section 2.2, `sub`).
    #[serde(rename = "sub")]
    pub subject: String,
    /// The client that acts (RFC 9068 section 2.2, `client_id`); none for a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The owner of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A name for people, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The kind of its credential.
    pub credential: CredentialKind,
    /// The credential's own identifier: a key's id or a token's `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// The user's grant that the token came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// The API that the credential is for.
    pub audience: ResourceIdentifier,
    /// The scopes of the credential.
    #[serde(rename = "scope")]
    pub scopes: ScopeSet,
    /// Its roles at this API.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// When the credential expires; `None` for a key without expiry.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>))]
    #[serde(rename = "exp", default, skip_serializing_if = "Option::is_none", with = "optional_secs")]
    pub expires_at: Option<Timestamp>,
    /// The other claims of its token, by name: everything that has no field above.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
}

impl Principal {
    /// Whether its credential may be used for this scope.
    pub fn has_scope(&self, name: &str) -> bool {
        self.scopes.contains(name)
    }

    /// Whether it has this role at the API.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.contains(name)
    }

    /// A claim of its token that has no field of its own, such as `acr`.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }
}

/// An optional time as NumericDate (RFC 7519 section 2).
pub(crate) mod optional_secs {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_i64(time.as_secs()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn principal_is_written_by_names_of_claims_and_reads_back() {
        let written = json!({
            "kind": "user", "sub": "usr_1", "credential": "access_token_jwt", "audience": "https://api.example",
            "scope": "notes:read", "roles": ["admin"], "exp": 1_700_000_000,
        });
        let principal: Principal = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(principal.expires_at, Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(serde_json::to_value(&principal).unwrap(), written);
        let lasting = Principal { expires_at: None, ..principal };
        let written = serde_json::to_value(&lasting).unwrap();
        assert_eq!(written.get("exp"), None);
        assert_eq!(serde_json::from_value::<Principal>(written).unwrap(), lasting);
        assert!(lasting.has_role("admin") && !lasting.has_role("reader"));
        assert!(lasting.has_scope("notes:read") && !lasting.has_scope("notes"));
    }
}
