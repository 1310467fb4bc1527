//! Users: who signs in.

use doorward_core::{
    id::UserId,
    password, registration,
    secret::{ExposeSecret, SecretString},
};
use doorward_store::users::{ChangeUser, CreateUser, FindUser, ListUsers, UserChange, UserRecord};

use super::ManageError;
use crate::{actor::Actor, app::App, throttle};

/// A user that is to be made.
#[derive(Debug)]
pub struct NewUser {
    /// The name to sign in with.
    pub username: String,
    /// The password.
    pub password: SecretString,
    /// The name, for people.
    pub name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
}

/// Makes a user.
pub async fn create(app: &App, actor: &Actor, new: NewUser) -> Result<UserRecord, ManageError> {
    let username = registration::display_name("username", &new.username)?;
    let name = new.name.map(|name| registration::display_name("name", &name)).transpose()?;
    if new
        .email
        .as_ref()
        .is_some_and(|email| email.len() > 254 || !email.contains('@') || email.contains(char::is_whitespace))
    {
        return Err(ManageError::invalid("email", "not a mail address"));
    }
    let password_hash = checked_hash(app, new.password).await?;
    let now = app.now();
    let user = UserRecord {
        id: UserId::new(now, &*app.rng),
        username,
        password_hash,
        name,
        email: new.email,
        email_verified: false,
        created_at: now,
        disabled_at: None,
    };
    let operation = CreateUser { user: user.clone(), audit: app.audit(actor) };
    let taken = || format!("a user with the name {:?} exists", user.username);
    app.commit(operation).await.map_err(ManageError::conflict(taken))?;
    Ok(user)
}

/// Users in the order that they were made, after one of them.
pub async fn list(app: &App, after: Option<UserId>, limit: i64) -> Result<Vec<UserRecord>, ManageError> {
    Ok(app.store.read(ListUsers { after, limit }).await?)
}

/// The user of this id or name.
pub async fn show(app: &App, name: &str) -> Result<UserRecord, ManageError> {
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

/// Gives a user another password; ends the sessions, and clears the counters of failed attempts.
pub async fn set_password(app: &App, actor: &Actor, name: &str, password: SecretString) -> Result<(), ManageError> {
    let hash = checked_hash(app, password).await?;
    let password = |user: &UserRecord| UserChange::Password {
        hash,
        forget_failures: throttle::subjects_of_name(app, &user.username),
    };
    change(app, actor, name, password).await
}

async fn change(
    app: &App,
    actor: &Actor,
    name: &str,
    change: impl FnOnce(&UserRecord) -> UserChange,
) -> Result<(), ManageError> {
    let user = show(app, name).await?;
    let change = change(&user);
    app.commit(ChangeUser { id: user.id, change, now: app.now(), audit: app.audit(actor) }).await?;
    Ok(())
}

async fn checked_hash(app: &App, password: SecretString) -> Result<SecretString, ManageError> {
    let settings = &app.settings.password;
    let is_refused = |lower: &str| crate::passwords::is_common(lower) || settings.breached.contains(lower);
    password::check(password.expose_secret(), settings.min_length, is_refused)
        .map_err(|error| ManageError::invalid("password", error))?;
    Ok(app.passwords.hash(password, &*app.rng).await?)
}
