//! Users: who signs in.
//!
//! Easy to get wrong: `username_folded` has the canonical form of a name only for users that this program created. An
//! older one stored other forms, so names are compared with each of [`username::stored_forms`].

use doorward_core::{
    api::Role,
    clock::Timestamp,
    holder::Holder,
    id::{ApiId, UserId},
    secret::{ExposeSecret, SecretString},
    user::UserMetadata,
    username,
};

mod deletion;
mod update;

pub(crate) use self::deletion::RemoveDeletedUsers;
pub use self::{deletion::DeleteUser, update::UpdateUser};
use crate::{
    ChangeKind, ChangesOne, Seen, append_change,
    audit::{AuditAction, AuditContext},
    grants,
    passwords::NewPassword,
    record::{Page, json, readable_page},
    roles::RolesOf,
    sessions,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// A user as remembered.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Its id: the `sub` of its tokens.
    pub id: UserId,
    /// What is registered of it.
    pub metadata: UserMetadata,
    /// The password's hash in PHC form.
    pub password_hash: SecretString,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// When what is registered of it was last changed, if it was.
    pub updated_at: Option<Timestamp>,
    /// Which browsers are known as ones that signed in before: those whose cookie has this number.
    pub known_browsers: i64,
}

impl UserRecord {
    /// What a change of the user, who has these roles, may start from.
    pub fn seen(&self, roles: Vec<(ApiId, Role)>) -> Seen<UserMetadata> {
        Seen { metadata: self.metadata.clone(), disabled_at: self.disabled_at, roles }
    }

    /// The data for claims about the user.
    pub fn profile(&self) -> Profile {
        Profile { metadata: self.metadata.clone(), updated_at: self.updated_at.unwrap_or(self.created_at) }
    }
}

/// The data for claims about a user.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What is registered of it.
    pub metadata: UserMetadata,
    /// When that was last changed, or registered.
    pub updated_at: Timestamp,
}

/// Adds a user. [`TxError::Conflict`] if the name is taken.
#[derive(Clone, Debug)]
pub struct CreateUser {
    /// The new user's row, with the hashed password.
    pub user: UserRecord,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for CreateUser {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let user = &self.user;
        // The name in another form than the one that is stored now is taken as well.
        if by_username(tx, &user.metadata.username).await?.is_some() {
            return Err(TxError::Conflict);
        }
        tx.execute(
            sql!("INSERT INTO users (username_folded, {}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", COLUMNS),
            &[
                username::counted_as(&user.metadata.username).into(),
                user.id.as_str().into(),
                json(&user.metadata),
                user.password_hash.expose_secret().into(),
                user.created_at.into(),
                user.disabled_at.into(),
                user.updated_at.into(),
                user.known_browsers.into(),
            ],
        )
        .await?;
        self.audit.event(AuditAction::UserCreated).about(&user.id).append(tx).await
    }
}

/// How a user is looked for.
#[derive(Clone, Debug)]
pub enum FindUser {
    /// The user with this id.
    ById(UserId),
    /// By the name to sign in with.
    ByUsername(String),
}

impl Operation for FindUser {
    type Output = Option<UserRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<UserRecord>, TxError> {
        match self {
            Self::ById(id) => {
                let sql = sql!("{} AND id = $1", SELECT);
                tx.query_opt(sql, &[id.as_str().into()]).await?.as_mut().map(user).transpose()
            }
            Self::ByUsername(username) => by_username(tx, username).await,
        }
    }
}

/// What a sign-in needs to know of a name.
#[derive(Clone, Debug)]
pub struct FindForSignIn {
    /// The name as it was typed.
    pub username: String,
    /// Derived from the name with a secret: which user replaces a name that nobody has.
    pub lot: u64,
}

/// The user of a name, and somebody else's hash: what an unknown name has to cost.
#[derive(Clone, Debug)]
pub struct SignInFacts {
    /// The user, if there is one.
    pub user: Option<UserRecord>,
    /// The hash of some user, the same for a name each time; none where there are no users. Easy to get wrong: were it
    /// the next user by name, the names at which the cost changes would be those of users.
    pub stand_in: Option<SecretString>,
}

impl Operation for FindForSignIn {
    type Output = SignInFacts;

    async fn run(&self, tx: &mut impl Tx) -> Result<SignInFacts, TxError> {
        // No text in a database holds this character.
        let username = if self.username.contains('\0') { "" } else { &self.username };
        let user = by_username(tx, username).await?;
        // Read for known names as well, so that both cost the same.
        let first = tx.query_opt("SELECT id FROM users WHERE deleted_at IS NULL ORDER BY id LIMIT 1", &[]).await?;
        let last = tx.query_opt("SELECT id FROM users WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 1", &[]).await?;
        let (Some(mut first), Some(mut last)) = (first, last) else {
            return Ok(SignInFacts { user, stand_in: None });
        };
        let (first, last) = (first.text()?, last.text()?);
        let sql = "SELECT password_hash FROM users WHERE id >= $1 AND deleted_at IS NULL ORDER BY id LIMIT 1";
        let row = tx.query_opt(sql, &[between(&first, &last, self.lot).into()]).await?;
        let stand_in = row.map(|mut row| row.text()).transpose()?.map(SecretString::from);
        Ok(SignInFacts { user, stand_in })
    }
}

/// A place between two ids, at a part of the way that `lot` says.
fn between(first: &str, last: &str, lot: u64) -> String {
    let number = |id: &str| id.rsplit('_').next().and_then(|digits| u128::from_str_radix(digits, 16).ok()).unwrap_or(0);
    let (low, way, lot) = (number(first), number(last).saturating_sub(number(first)), u128::from(lot));
    let part = (way >> 64) * lot + (((way & u128::from(u64::MAX)) * lot) >> 64);
    format!("usr_{:032x}", low + part)
}

/// Puts another hash of the same password in the place of one. Returns whether it was still there.
#[derive(Clone, Debug)]
pub struct ReplaceHash {
    /// The user whose hash is replaced.
    pub id: UserId,
    /// The hash that the password fits.
    pub from: SecretString,
    /// The new hash of the same password.
    pub to: SecretString,
}

impl Operation for ReplaceHash {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let sql = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3";
        let row = [self.to.expose_secret().into(), self.id.as_str().into(), self.from.expose_secret().into()];
        Ok(tx.execute(sql, &row).await? == 1)
    }
}

/// The user of this name, in the first form under which there is one.
async fn by_username(tx: &mut impl Tx, username: &str) -> Result<Option<UserRecord>, TxError> {
    // No text in a database holds this character.
    if username.contains('\0') {
        return Ok(None);
    }
    for form in username::stored_forms(username) {
        let sql = sql!("{} AND username_folded = $1", SELECT);
        if let Some(mut row) = tx.query_opt(sql, &[form.into()]).await? {
            return user(&mut row).map(Some);
        }
    }
    Ok(None)
}

/// Which users are listed.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Only those who are disabled, or only those who are not.
    pub disabled: Option<bool>,
    /// Only the user of this name, in any of its forms.
    pub username: Option<String>,
}

/// Users in order of creation.
#[derive(Clone, Debug)]
pub struct ListUsers {
    /// Which users.
    pub filter: UserFilter,
    /// Only users created after this one.
    pub after: Option<UserId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListUsers {
    type Output = Vec<UserRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<UserRecord>, TxError> {
        if let Some(username) = &self.filter.username {
            let found = by_username(tx, username).await?;
            return Ok(found.into_iter().filter(|user| self.includes(user)).collect());
        }
        let sql = match self.filter.disabled {
            None => sql!("{} AND id > $1 ORDER BY id LIMIT $2", SELECT),
            Some(true) => sql!("{} AND id > $1 AND disabled_at IS NOT NULL ORDER BY id LIMIT $2", SELECT),
            Some(false) => sql!("{} AND id > $1 AND disabled_at IS NULL ORDER BY id LIMIT $2", SELECT),
        };
        let after = [self.after.as_ref().map_or_else(String::new, UserId::to_string)];
        let page = Page { kind: "user", sql, after, limit: self.limit, filter: vec![] };
        readable_page(tx, page, user).await
    }
}

impl ListUsers {
    /// Whether a user that was found by its name is on this page.
    fn includes(&self, user: &UserRecord) -> bool {
        let is_disabled = user.disabled_at.is_some();
        let comes_after = self.after.as_ref().is_none_or(|after| user.id.as_str() > after.as_str());
        comes_after && self.filter.disabled.is_none_or(|disabled| disabled == is_disabled)
    }
}

/// What can be changed of a user.
#[derive(Clone, Debug)]
pub enum UserChange {
    /// Refuse it from now on; end its sessions and grants.
    Disable,
    /// Vouch for its email address.
    EmailVerified,
    /// Let it in again.
    Enable,
    /// Another password, whatever it was before; ends its sessions, and clears the counters of failures.
    Password(NewPassword),
}

impl UserChange {
    fn action(&self) -> AuditAction {
        match self {
            Self::Disable => AuditAction::UserDisabled,
            Self::EmailVerified => AuditAction::UserEmailVerified,
            Self::Enable => AuditAction::UserEnabled,
            Self::Password(_) => AuditAction::UserPasswordSet,
        }
    }
}

/// Changes a user. Returns whether it exists.
#[derive(Clone, Debug)]
pub struct ChangeUser {
    /// The user to change.
    pub id: UserId,
    /// The change, of which there is one at a time.
    pub change: UserChange,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ChangeUser {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let id = self.id.as_str();
        let changed = match &self.change {
            UserChange::Disable | UserChange::Enable => {
                let disabled_at = matches!(self.change, UserChange::Disable).then_some(self.now);
                let sql = "UPDATE users SET
                             disabled_at = CASE WHEN CAST($1 AS bigint) IS NULL THEN NULL
                                   ELSE COALESCE(disabled_at, $1) END
                           WHERE id = $2 AND deleted_at IS NULL";
                tx.execute(sql, &[disabled_at.into(), id.into()]).await?
            }
            UserChange::EmailVerified => {
                let Some(user) = lock(tx, &self.id).await? else { return Ok(false) };
                let metadata = UserMetadata { email_verified: true, ..user.metadata };
                let sql = "UPDATE users SET metadata = $1, updated_at = $2 WHERE id = $3";
                tx.execute(sql, &[json(&metadata), self.now.into(), id.into()]).await?
            }
            UserChange::Password(new) => u64::from(new.set(tx, &self.id, None, self.now).await?),
        };
        if changed == 0 {
            return Ok(false);
        }
        match &self.change {
            UserChange::Disable => {
                sessions::end_all(tx, &self.id, None, self.now).await?;
                grants::end_later(tx, grants::AllOf::User(&self.id), "user_disabled", self.now).await?;
            }
            UserChange::EmailVerified | UserChange::Enable | UserChange::Password(_) => {}
        }
        self.audit.event(self.change.action()).about(id).append(tx).await?;
        append_change(tx, ChangeKind::User, id, self.now).await?;
        Ok(true)
    }
}

impl ChangesOne for ChangeUser {
    type Seen = Seen<UserMetadata>;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<Self::Seen>, TxError> {
        lock_seen(tx, &self.id).await
    }
}

/// A user and the roles, locked, as a change may start from them.
pub(crate) async fn lock_seen(tx: &mut impl Tx, id: &UserId) -> Result<Option<Seen<UserMetadata>>, TxError> {
    let Some(user) = lock(tx, id).await? else { return Ok(None) };
    let roles = RolesOf { holder: Holder::User(id.clone()) }.run(tx).await?;
    Ok(Some(user.seen(roles)))
}

/// A user, locked: against being disabled, and against another session or grant of the same user.
///
/// Easy to get wrong: the column must be in no index, which SQLite would write again.
pub(crate) async fn lock(tx: &mut impl Tx, id: &UserId) -> Result<Option<UserRecord>, TxError> {
    let sql = sql!(
        "UPDATE users SET known_browsers = known_browsers WHERE id = $1 AND deleted_at IS NULL RETURNING {}",
        COLUMNS
    );
    tx.query_opt(sql, &[id.as_str().into()]).await?.as_mut().map(user).transpose()
}

pub(crate) const COLUMNS: &str = "id, metadata, password_hash, created_at, disabled_at, updated_at, known_browsers";

/// What [`profile`] reads.
pub(crate) const PROFILE: &str = "metadata, created_at, updated_at";

/// Users that were not deleted.
const SELECT: &str = sql!("SELECT {} FROM users WHERE deleted_at IS NULL", COLUMNS);

pub(crate) fn user(row: &mut Row) -> Result<UserRecord, TxError> {
    Ok(UserRecord {
        id: row.parsed()?,
        metadata: row.json()?,
        password_hash: row.text()?.into(),
        created_at: row.time()?,
        disabled_at: row.opt_time()?,
        updated_at: row.opt_time()?,
        known_browsers: row.int()?,
    })
}

pub(crate) fn profile(row: &mut Row) -> Result<Profile, TxError> {
    let (metadata, created_at) = (row.json()?, row.time()?);
    Ok(Profile { metadata, updated_at: row.opt_time()?.unwrap_or(created_at) })
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn lot_is_a_part_of_the_way_between_two_ids() {
        let id = |number: u128| format!("usr_{number:032x}");
        let (first, last) = (id(1 << 120), id(3 << 120));
        assert_eq!(between(&first, &last, 0), first);
        assert_eq!(between(&first, &last, 1 << 63), id(2 << 120));
        let end = between(&first, &last, u64::MAX);
        assert!(end > id(2 << 120) && end <= last);
        assert_eq!(between(&first, &first, u64::MAX), first);
    }
}
