//! Clients, and the credentials of APIs, which are clients that may get no token.

use doorward_core::{
    api::Role,
    client::Client,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    digest::KeyedDigest,
    id::{ApiId, ClientId},
    jwk::Algorithm,
};

use serde::Deserialize;

use crate::{
    ChangeKind, ChangesOne, Seen, append_change,
    audit::{AuditAction, AuditContext},
    grants,
    record::{Page, Updated, json, readable_page, replace_metadata},
    roles, signing_keys,
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
        sql!("INSERT INTO clients (id_token_alg, {}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", COLUMNS),
        &[
            client.metadata.id_token_signed_response_alg.as_str().into(),
            client.id.as_str().into(),
            json(&client.metadata),
            client.secret.as_ref().map(|secret| secret.pepper.clone()).into(),
            client.secret.as_ref().map(|secret| secret.digest.as_bytes().to_vec()).into(),
            client.api.as_ref().map(|api| api.as_str().to_owned()).into(),
            client.created_at.into(),
            client.disabled_at.into(),
            client.tokens_ended_at.into(),
            client.scope_given_at.into(),
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

/// Which clients are listed.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// Only those that are disabled, or only those that are not.
    pub disabled: Option<bool>,
}

/// Clients in order of creation, without the credentials of APIs.
#[derive(Clone, Debug)]
pub struct ListClients {
    /// Which clients.
    pub filter: ClientFilter,
    /// Only clients created after this one.
    pub after: Option<ClientId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListClients {
    type Output = Vec<Client>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Client>, TxError> {
        let sql = match self.filter.disabled {
            None => sql!("{} WHERE {} ORDER BY id LIMIT $2", SELECT, AFTER),
            Some(true) => sql!("{} WHERE {} AND disabled_at IS NOT NULL ORDER BY id LIMIT $2", SELECT, AFTER),
            Some(false) => sql!("{} WHERE {} AND disabled_at IS NULL ORDER BY id LIMIT $2", SELECT, AFTER),
        };
        let after = [self.after.as_ref().map_or_else(String::new, ClientId::to_string)];
        let page = Page { kind: "client", sql, after, limit: self.limit, filter: vec![] };
        readable_page(tx, page, client).await
    }
}

const AFTER: &str = "id > $1 AND api_id IS NULL";

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
            let sql = "SELECT 1 AS found FROM clients WHERE id_token_alg = $1 LIMIT 1";
            if tx.query_opt(sql, &[algorithm.as_str().into()]).await?.is_some() {
                used.push(*algorithm);
            }
        }
        Ok(used)
    }
}

/// Changes what is registered of a client, if that is still what the change started from.
#[derive(Clone, Debug)]
pub struct UpdateClient {
    /// The client to change.
    pub id: ClientId,
    /// What was registered when it was read.
    pub from: ClientMetadata,
    /// What is registered from now on.
    pub to: ClientMetadata,
    /// When it had got its scopes when it was read; `None`: when it was created.
    pub given_at_from: Option<Timestamp>,
    /// When it got its scopes, from now on.
    pub given_at_to: Option<Timestamp>,
    /// Its roles when it was read, if the change depends on them.
    pub roles_from: Option<Vec<(ApiId, Role)>>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for UpdateClient {
    type Output = Updated;

    async fn run(&self, tx: &mut impl Tx) -> Result<Updated, TxError> {
        let id = self.id.as_str();
        let lock = "UPDATE clients SET created_at = created_at WHERE id = $1 AND api_id IS NULL
                    RETURNING metadata, scope_given_at";
        let Some(mut row) = tx.query_opt(lock, &[id.into()]).await? else { return Ok(Updated::Unknown) };
        let Some(mut replaced) = replace_metadata(&mut row, &self.from, &self.to)? else { return Ok(Updated::Changed) };
        if row.opt_time()? != self.given_at_from {
            return Ok(Updated::Changed);
        }
        if let Some(roles) = &self.roles_from
            && self.roles(tx).await? != *roles
        {
            return Ok(Updated::Changed);
        }
        if self.given_at_from != self.given_at_to {
            replaced.add("scope");
        }
        if replaced.members.is_empty() {
            return Ok(Updated::Done);
        }
        let algorithm = self.to.id_token_signed_response_alg.as_str();
        let sql = "UPDATE clients SET metadata = $1, id_token_alg = $2, scope_given_at = $3 WHERE id = $4";
        tx.execute(sql, &[replaced.metadata, algorithm.into(), self.given_at_to.into(), id.into()]).await?;
        let before = self.from.id_token_signed_response_alg;
        if before != self.to.id_token_signed_response_alg {
            signing_keys::note_unused(tx, before, self.now).await?;
        }
        self.audit.event(AuditAction::ClientUpdated).about(id).with("changed", replaced.members).append(tx).await?;
        append_change(tx, ChangeKind::Client, id, self.now).await?;
        Ok(Updated::Done)
    }
}

impl UpdateClient {
    async fn roles(&self, tx: &mut impl Tx) -> Result<Vec<(ApiId, Role)>, TxError> {
        let found = FindClient { id: self.id.clone() }.run(tx).await?;
        Ok(found.map(|client| client.roles).unwrap_or_default())
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
        let (id, mut deleted) = (self.id.as_str(), None);
        let changed = match &self.change {
            ClientChange::Delete => {
                let sql = "DELETE FROM clients WHERE id = $1 AND api_id IS NULL RETURNING metadata";
                let row = tx.query_opt(sql, &[id.into()]).await?;
                let found = u64::from(row.is_some());
                deleted = row.and_then(|mut row| row.json::<Named>().ok());
                found
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
        let event = self.audit.event(self.change.action()).about(id);
        event.with_known("name", deleted.map(|client| client.client_name)).append(tx).await?;
        append_change(tx, ChangeKind::Client, id, self.now).await?;
        Ok(true)
    }
}

impl ChangesOne for ChangeClient {
    type Seen = Seen<ClientMetadata>;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<Self::Seen>, TxError> {
        lock(tx, &self.id).await?;
        let found = FindClient { id: self.id.clone() }.run(tx).await?;
        Ok(found.map(|Client { metadata, disabled_at, roles, .. }| Seen { metadata, disabled_at, roles }))
    }
}

/// Locks the row of a client, if there is one, until the end of the transaction.
pub(crate) async fn lock(tx: &mut impl Tx, id: &ClientId) -> Result<(), TxError> {
    let sql = "UPDATE clients SET created_at = created_at WHERE id = $1";
    tx.execute(sql, &[id.as_str().into()]).await.map(drop)
}

const COLUMNS: &str = "id, metadata, secret_pepper, secret_digest, api_id, created_at, disabled_at, tokens_ended_at, \
                       scope_given_at";

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
        scope_given_at: row.opt_time()?,
        roles: roles::of_holder(row)?,
    })
}
