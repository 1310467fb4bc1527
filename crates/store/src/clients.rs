//! Clients, and the credentials of APIs, which are clients that may get no token.

use doorward_core::{
    client::Client,
    clock::Timestamp,
    digest::KeyedDigest,
    id::{ApiId, ClientId},
    jwk::Algorithm,
};

use serde::Deserialize;

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    grants,
    record::{json, readable_page},
    roles,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// Adds a client with its metadata.
#[derive(Clone, Debug)]
pub struct CreateClient {
    /// The client with the digest of its secret.
    pub client: Client,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for CreateClient {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let id = &self.client.id;
        insert(tx, &self.client).await?;
        let event = self.audit.event(AuditAction::ClientCreated).about(id);
        event.with("name", &self.client.metadata.client_name).append(tx).await?;
        // Its ID tokens may be the first that are signed with their algorithm.
        append_change(tx, ChangeKind::Client, id.as_str(), self.client.created_at).await?;
        Ok(())
    }
}

/// The row of a client, without its roles.
pub(crate) async fn insert(tx: &mut impl Tx, client: &Client) -> Result<(), TxError> {
    tx.execute(
        sql!("INSERT INTO clients ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", COLUMNS),
        &[
            client.id.as_str().into(),
            json(&client.metadata),
            client.secret.as_ref().map(|secret| secret.pepper.clone()).into(),
            client.secret.as_ref().map(|secret| secret.digest.as_bytes().to_vec()).into(),
            client.api.as_ref().map(|api| api.as_str().to_owned()).into(),
            client.created_at.into(),
            client.disabled_at.into(),
            client.tokens_ended_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Finds a client by its id.
#[derive(Clone, Debug)]
pub struct FindClient {
    /// The id that the client sent.
    pub id: ClientId,
}

impl Operation for FindClient {
    type Output = Option<Client>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<Client>, TxError> {
        let sql = sql!("{} WHERE id = $1", SELECT);
        tx.query_opt(sql, &[self.id.as_str().into()]).await?.as_mut().map(client).transpose()
    }
}

/// The name of a client, also of one whose other metadata this program can't read.
#[derive(Clone, Debug)]
pub struct FindClientName {
    /// The id of the client to look up.
    pub id: ClientId,
}

impl Operation for FindClientName {
    type Output = Option<String>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<String>, TxError> {
        let sql = "SELECT metadata FROM clients WHERE id = $1";
        let Some(mut row) = tx.query_opt(sql, &[self.id.as_str().into()]).await? else { return Ok(None) };
        let Named { client_name } = row.json()?;
        Ok(Some(client_name))
    }
}

#[derive(Deserialize)]
struct Named {
    client_name: String,
}

/// Clients in order of creation, without the credentials of APIs.
#[derive(Clone, Debug)]
pub struct ListClients {
    /// Only clients created after this one.
    pub after: Option<ClientId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListClients {
    type Output = Vec<Client>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Client>, TxError> {
        let after = self.after.as_ref().map_or("", ClientId::as_str);
        let sql = sql!("{} WHERE id > $1 AND api_id IS NULL ORDER BY id LIMIT $2", SELECT);
        readable_page(tx, "client", sql, after, self.limit, client).await
    }
}

/// The `client_id` of the credential of an API.
#[derive(Clone, Debug)]
pub struct FindCredential {
    /// The API that the credential belongs to.
    pub api: ApiId,
}

impl Operation for FindCredential {
    type Output = Option<ClientId>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<ClientId>, TxError> {
        let sql = "SELECT id FROM clients WHERE api_id = $1 ORDER BY id LIMIT 1";
        tx.query_opt(sql, &[self.api.as_str().into()]).await?.as_mut().map(Row::parsed).transpose()
    }
}

/// Those of some algorithms that the ID tokens of a client are signed with.
#[derive(Clone, Debug)]
pub struct IdTokenAlgorithms {
    /// The algorithms to look for.
    pub among: &'static [Algorithm],
}

impl Operation for IdTokenAlgorithms {
    type Output = Vec<Algorithm>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Algorithm>, TxError> {
        let mut used = Vec::new();
        for algorithm in self.among {
            // The engines have no way in common to look into JSON. Inside of a text the quotes would be escaped.
            let member = format!("%\"id_token_signed_response_alg\":\"{algorithm}\"%");
            let sql = "SELECT 1 AS found FROM clients WHERE metadata LIKE $1 LIMIT 1";
            if tx.query_opt(sql, &[member.into()]).await?.is_some() {
                used.push(*algorithm);
            }
        }
        Ok(used)
    }
}

/// What can be changed of a client.
#[derive(Clone, Debug)]
pub enum ClientChange {
    /// Delete it, and end its grants.
    Delete,
    /// Disable it, and end its grants.
    Disable,
    /// Enable it again; its old tokens stay ended.
    Enable,
    /// Replace its secret; the old one stops working at once.
    Secret(KeyedDigest),
}

impl ClientChange {
    fn action(&self) -> AuditAction {
        match self {
            Self::Delete => AuditAction::ClientDeleted,
            Self::Disable => AuditAction::ClientDisabled,
            Self::Enable => AuditAction::ClientEnabled,
            Self::Secret(_) => AuditAction::ClientSecretRotated,
        }
    }
}

/// Changes a client. Returns whether it exists.
#[derive(Clone, Debug)]
pub struct ChangeClient {
    /// The client to change.
    pub id: ClientId,
    /// The change, of which there is one at a time.
    pub change: ClientChange,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ChangeClient {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let id = self.id.as_str();
        let changed = match &self.change {
            ClientChange::Delete => {
                tx.execute("DELETE FROM clients WHERE id = $1 AND api_id IS NULL", &[id.into()]).await?
            }
            ClientChange::Disable | ClientChange::Enable => {
                let disabled_at = matches!(self.change, ClientChange::Disable).then_some(self.now);
                let sql = "UPDATE clients SET tokens_ended_at = COALESCE($1, tokens_ended_at),
                             disabled_at = CASE WHEN CAST($1 AS bigint) IS NULL THEN NULL
                                   ELSE COALESCE(disabled_at, $1) END
                           WHERE id = $2";
                tx.execute(sql, &[disabled_at.into(), id.into()]).await?
            }
            ClientChange::Secret(secret) => {
                let sql = "UPDATE clients SET secret_pepper = $1, secret_digest = $2 WHERE id = $3";
                tx.execute(sql, &[secret.pepper.as_str().into(), (&secret.digest).into(), id.into()]).await?
            }
        };
        if changed == 0 {
            return Ok(false);
        }
        match &self.change {
            ClientChange::Delete => {
                tx.execute("DELETE FROM role_grants WHERE holder = $1", &[id.into()]).await?;
                grants::end_later(tx, grants::AllOf::Client(&self.id), "client_deleted", self.now).await?;
            }
            ClientChange::Disable => {
                grants::end_later(tx, grants::AllOf::Client(&self.id), "client_disabled", self.now).await?;
            }
            ClientChange::Enable | ClientChange::Secret(_) => {}
        }
        self.audit.event(self.change.action()).about(id).append(tx).await?;
        append_change(tx, ChangeKind::Client, id, self.now).await?;
        Ok(true)
    }
}

const COLUMNS: &str = "id, metadata, secret_pepper, secret_digest, api_id, created_at, disabled_at, tokens_ended_at";

/// Clients with their roles.
const SELECT: &str = sql!("SELECT {}, {} FROM clients", COLUMNS, roles::OF_HOLDER);

fn client(row: &mut Row) -> Result<Client, TxError> {
    Ok(Client {
        id: row.parsed()?,
        metadata: row.json()?,
        secret: row.opt_keyed_digest()?,
        api: row.opt_parsed()?,
        created_at: row.time()?,
        disabled_at: row.opt_time()?,
        tokens_ended_at: row.opt_time()?,
        roles: roles::of_holder(row)?,
    })
}
