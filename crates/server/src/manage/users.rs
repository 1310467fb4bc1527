//! Users: who signs in.

use doorward_core::{
    clock::Timestamp,
    holder::Holder,
    id::{SessionId, UserId},
    password::{self, PasswordRejected},
    refusal::Refusal,
    registration,
    secret::{ExposeSecret, SecretString},
    user::UserMetadata,
};
use doorward_store::{
    passwords::{ChangePassword, NewPassword},
    roles::RolesOf,
    users::{ChangeUser, CreateUser, FindUser, ListUsers, UserChange, UserRecord},
};
use serde::Serialize;

use super::{ManageError, roles, times};
use crate::{
    actor::Actor,
    app::App,
    browser::device,
    passwords::{Parties, is_common},
    throttle,
};

/// A user as it is shown: all but the password's hash.
#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    /// Its id: the `sub` of its tokens.
    pub id: UserId,
    /// What is registered of it.
    #[serde(flatten)]
    pub metadata: UserMetadata,
    /// Its roles, as `API:ROLE`, where one user is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When it was disabled, if it is.
    #[serde(serialize_with = "times::optional")]
    pub disabled_at: Option<Timestamp>,
}

impl From<UserRecord> for UserView {
    fn from(user: UserRecord) -> Self {
        let UserRecord { id, metadata, created_at, disabled_at, .. } = user;
        Self { id, metadata, roles: None, created_at, disabled_at }
    }
}

/// Creates a user, after checking and hashing the password.
pub async fn create(
    app: &App,
    actor: &Actor,
    metadata: UserMetadata,
    password: SecretString,
) -> Result<UserView, ManageError> {
    let metadata = registration::checked_user(metadata)?;
    let password_hash = checked_hash(app, password, &Parties::operator()).await?;
    let now = app.now();
    let user = UserRecord {
        id: UserId::new(now, &*app.rng),
        metadata,
        password_hash,
        created_at: now,
        disabled_at: None,
        updated_at: None,
        known_browsers: 0,
    };
    let operation = CreateUser { user: user.clone(), audit: app.audit(actor) };
    let taken = || format!("a user with the name {:?} exists", user.metadata.username);
    app.commit(operation).await.map_err(ManageError::conflict(taken))?;
    Ok(user.into())
}

/// Users in order of creation, after one of them.
pub async fn list(app: &App, after: Option<UserId>, limit: i64) -> Result<Vec<UserView>, ManageError> {
    Ok(app.store.read(ListUsers { after, limit }).await?.into_iter().map(UserView::from).collect())
}

/// The user of this id or name, with its roles.
pub async fn show(app: &App, name: &str) -> Result<UserView, ManageError> {
    let user = find(app, name).await?;
    let held = app.store.read(RolesOf { holder: Holder::User(user.id.clone()) }).await?;
    Ok(UserView { roles: Some(roles::shown(&held, &super::apis::all(app).await?)), ..user.into() })
}

pub(super) async fn find(app: &App, name: &str) -> Result<UserRecord, ManageError> {
    let find = match UserId::parse(name) {
        Ok(id) => FindUser::ById(id),
        Err(_) => FindUser::ByUsername(name.to_owned()),
    };
    let found = app.store.read(find).await?;
    found.ok_or_else(|| ManageError::NotFound { kind: "user", name: name.to_owned() })
}

/// Refuses a user from now on; ends sessions and grants.
pub async fn disable(app: &App, actor: &Actor, name: &str) -> Result<(), ManageError> {
    change(app, actor, name, |_| UserChange::Disable).await
}

/// Lets a disabled user in again.
pub async fn enable(app: &App, actor: &Actor, name: &str) -> Result<(), ManageError> {
    change(app, actor, name, |_| UserChange::Enable).await
}

/// Vouches for a user's email address: the operator knows that it is the user's.
pub async fn verify_email(app: &App, actor: &Actor, name: &str) -> Result<(), ManageError> {
    if find(app, name).await?.metadata.email.is_none() {
        return Err(ManageError::invalid("email", "the user has no mail address"));
    }
    change(app, actor, name, |_| UserChange::EmailVerified).await
}

/// Gives a user another password; ends the sessions, and clears the counters of failed attempts.
pub async fn set_password(app: &App, actor: &Actor, name: &str, password: SecretString) -> Result<(), ManageError> {
    let hash = checked_hash(app, password, &Parties::operator()).await?;
    let password = |user: &UserRecord| {
        let forget_failures = throttle::subjects_of_name(app, &user.metadata.username);
        UserChange::Password(NewPassword { hash, forget_failures })
    };
    change(app, actor, name, password).await
}

/// Gives a user, who has given the old password, another one; ends all sessions but the one in which it is done. `user`
/// is as the old password was checked: refused where another one, or the end of the session, came first.
pub(crate) async fn change_password(
    app: &App,
    actor: &Actor,
    user: &UserRecord,
    within: SessionId,
    password: SecretString,
) -> Result<(), ManageError> {
    let hash = checked_hash(app, password, &Parties::known(device::of_account(&user.id))).await?;
    let forget_failures = throttle::subjects_of_name(app, &user.metadata.username);
    let changed = app.commit(ChangePassword {
        user_id: user.id.clone(),
        checked_hash: user.password_hash.clone(),
        within,
        new: NewPassword { hash, forget_failures },
        now: app.now(),
        audit: app.audit(actor),
    });
    Ok(changed.await?.map_err(|denial| Refusal::new(denial).about(&user.id))?)
}

async fn change(
    app: &App,
    actor: &Actor,
    name: &str,
    change: impl FnOnce(&UserRecord) -> UserChange,
) -> Result<(), ManageError> {
    let user = find(app, name).await?;
    let change = change(&user);
    app.commit(ChangeUser { id: user.id, change, now: app.now(), audit: app.audit(actor) }).await?;
    Ok(())
}

async fn checked_hash(app: &App, password: SecretString, parties: &Parties) -> Result<SecretString, ManageError> {
    check_password(app, &password).map_err(|error| ManageError::invalid("password", error))?;
    let turn = app.passwords.turn(parties).await?;
    Ok(app.passwords.hash(password::prepared(password.expose_secret()), &turn, &*app.rng).await?)
}

/// Whether a password may become somebody's.
pub(crate) fn check_password(app: &App, password: &SecretString) -> Result<(), PasswordRejected> {
    let settings = &app.settings.password;
    let is_refused = |lower: &str| is_common(lower) || settings.breached.contains(lower);
    password::check(password::prepared(password.expose_secret()).expose_secret(), settings.min_length, is_refused)
}
