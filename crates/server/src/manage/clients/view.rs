//! A client as it is shown.

use doorward_core::{
    client::Client,
    client_metadata::{ClientKeys, ClientMetadata},
    client_settings::ClientSettings,
    clock::Timestamp,
    grant::audience::Apis,
    id::ClientId,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::manage::{roles, times};

/// A client as it is shown: everything except its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Client)]
pub struct ClientView {
    /// The id that the client sends as `client_id`.
    pub client_id: ClientId,
    /// What is registered of it, without its limits.
    #[serde(flatten)]
    pub metadata: ClientMetadata,
    /// Of a client of the management API: the APIs that it may manage, by name; all if empty.
    pub limited_to: Vec<String>,
    /// Of a client of the management API: the owners whose things it may manage, by id; all if empty.
    pub limited_to_owners: Vec<String>,
    /// The names of its public keys; of one without a name, its thumbprint (RFC 7638).
    pub key_ids: Vec<String>,
    /// Its roles, as `API:ROLE`.
    pub roles: Vec<String>,
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When it was disabled, if it is.
    #[serde(serialize_with = "times::optional")]
    pub disabled_at: Option<Timestamp>,
}

impl ClientView {
    pub(super) fn of(client: Client, apis: &Apis) -> Self {
        let ClientSettings { metadata, limited_to, limited_to_owners } = ClientSettings::of(&client, apis);
        Self {
            key_ids: metadata.jwks.as_ref().map(ClientKeys::ids).unwrap_or_default(),
            roles: roles::shown(&client.roles, apis),
            client_id: client.id,
            metadata,
            limited_to,
            limited_to_owners,
            created_at: client.created_at,
            disabled_at: client.disabled_at,
        }
    }

    /// What a caller may change of it.
    pub fn settings(&self) -> ClientSettings {
        let (limited_to, limited_to_owners) = (self.limited_to.clone(), self.limited_to_owners.clone());
        ClientSettings { metadata: self.metadata.clone(), limited_to, limited_to_owners }
    }
}
