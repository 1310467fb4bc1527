//! What a file of `doorward apply` says: the APIs, clients, roles and settings of keys that there are to be. No secrets.
//!
//! Easy to get wrong: a member that is missing has its default, as where something is created. So the same file always
//! means the same state. Only `disabled` stays as it is: an operator may have disabled a client that is misused, and the
//! next run must not enable it.

use serde::{Deserialize, Serialize};

use crate::{
    api::{ApiMetadata, Role},
    client_settings::ClientSettings,
    id::{ClientId, KeyId},
    scope::Scope,
};

/// A desired state. A kind of things that is `None` is left alone, also by pruning.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct DesiredState {
    /// The APIs, known by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Vec<ApiMetadata>>,
    /// The clients, known by `client_id`, or else by `client_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Vec<DesiredClient>>,
    /// Who has which role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Vec<DesiredRole>>,
    /// Settings of keys that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Vec<DesiredKey>>,
}

impl DesiredState {
    /// How many things it names.
    pub fn len(&self) -> usize {
        fn count<T>(list: &Option<Vec<T>>) -> usize {
            list.as_ref().map_or(0, Vec::len)
        }
        count(&self.api) + count(&self.client) + count(&self.role) + count(&self.key)
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A client that there is to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DesiredClient {
    /// Its id. Where no client has it, one is created with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Whether it is disabled. If absent, that stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// What is registered of it.
    #[serde(flatten)]
    pub settings: ClientSettings,
}

/// A role that somebody is to have.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DesiredRole {
    /// A user's name, or the id of a user, client or key.
    pub holder: String,
    /// The API that defines the role, by name.
    pub api: String,
    /// The role.
    pub role: Role,
}

/// The settings that an existing key is to have.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DesiredKey {
    /// The id of the key.
    pub id: KeyId,
    /// Its name, for people.
    pub name: String,
    /// What it may be used for: scopes of the APIs that it names.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}
