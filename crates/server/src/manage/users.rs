//! Users: who signs in.

use doorward_core::{
    api::Role,
    clock::Timestamp,
    denial::Denial,
    holder::{Holder, Owner},
    id::{ApiId, SessionId, UserId},
    password::{self, PasswordRejected},
    refusal::{Mistake, Refusal},
    registration,
    rights::{Belongs, Power, Rights},
    secret::{ExposeSecret, SecretString},
    user::UserMetadata,
};
use doorward_store::{
    IfUnchanged,
    idempotency::KeptAnswer,
    passwords::{ChangePassword, NewPassword},
    roles::RolesOf,
    users::{ChangeUser, CreateUser, DeleteUser, FindUser, ListUsers, UpdateUser, UserChange, UserFilter, UserRecord},
    uses::{Used, Uses},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ManageError,
    attempts::{outcome, until_done},
    departure::{Departure, Disabling, Planned},
    page::{Page, page},
    roles, times, uses,
};
use crate::{
    actor::Actor,
    app::App,
    browser::device,
    passwords::{Parties, is_common},
    throttle,
};

/// A user as it is shown: all but the password's hash.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
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
    create_shown(app, actor, metadata, password, |_| Ok(None)).await
}

/// Creates a user after `show` has got it, and keeps the answer that it returns. If that fails, nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    metadata: UserMetadata,
    password: SecretString,
    show: impl FnOnce(&UserView) -> Result<Option<KeptAnswer>, E>,
) -> Result<UserView, E> {
    let user = prepare(app, actor, metadata, password).await?;
    let operation = CreateUser { user: user.clone(), audit: app.audit(actor) };
    let view = UserView { roles: Some(Vec::new()), ..user.into() };
    let answer = show(&view)?;
    let taken = ManageError::conflict(|| name_taken(&view.metadata));
    app.commit_kept(operation, answer).await.map_err(taken)?;
    Ok(view)
}

async fn prepare(
    app: &App,
    actor: &Actor,
    metadata: UserMetadata,
    password: SecretString,
) -> Result<UserRecord, ManageError> {
    // A new user is for no API, and is none of the owners that somebody may be limited to.
    if !actor.rights.are_unlimited() {
        return Err(Refusal::new(Denial::RightsExceeded).fact("limits", "of the caller").into());
    }
    let fits = check_password(app, &password).map_err(|why| vec![Mistake::at("password", why)]);
    let (metadata, ()) = Mistake::none_in_both(registration::checked_user(metadata), fits)?;
    let password_hash = hash(app, actor, &password).await?;
    let now = app.now();
    Ok(UserRecord {
        id: UserId::new(now, &*app.rng),
        metadata,
        password_hash,
        created_at: now,
        disabled_at: None,
        updated_at: None,
        known_browsers: 0,
    })
}

fn name_taken(metadata: &UserMetadata) -> String {
    format!("a user with the name {:?} exists", metadata.username)
}

/// A page of the users, in the order of their creation.
pub async fn list(
    app: &App,
    actor: &Actor,
    filter: UserFilter,
    after: Option<UserId>,
    limit: usize,
) -> Result<Page<UserView, UserId>, ManageError> {
    let read = |after, limit| {
        let list = ListUsers { filter: filter.clone(), after, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |user: UserRecord| reaches(actor, &user).then(|| user.into());
    page(after, limit, read, |user: &UserRecord| user.id.clone(), show).await
}

/// Whether somebody's rights reach a user, who is for no API alone.
fn reaches(actor: &Actor, user: &UserRecord) -> bool {
    actor.rights.reach(&Belongs { apis: Vec::new(), owner: Some(user.id.as_str()) })
}

/// The user of this id or name, with its roles.
pub async fn show(app: &App, actor: &Actor, name: &str) -> Result<UserView, ManageError> {
    let user = find_reached(app, actor, name).await?;
    let held = roles_of(app, &user).await?;
    view(app, user, &held).await
}

async fn roles_of(app: &App, user: &UserRecord) -> Result<Vec<(ApiId, Role)>, ManageError> {
    Ok(app.store.read(RolesOf { holder: Holder::User(user.id.clone()) }).await?)
}

async fn view(app: &App, user: UserRecord, held: &[(ApiId, Role)]) -> Result<UserView, ManageError> {
    Ok(UserView { roles: Some(roles::shown(held, &super::apis::all(app).await?)), ..user.into() })
}

async fn find_reached(app: &App, actor: &Actor, name: &str) -> Result<UserRecord, ManageError> {
    let user = find(app, name).await?;
    match reaches(actor, &user) {
        true => Ok(user),
        false => Err(unknown(name)),
    }
}

/// The same to be changed, which needs the rights that the user has: a caller who sets the password can sign in.
pub(super) async fn find_to_change(app: &App, actor: &Actor, name: &str) -> Result<UserRecord, ManageError> {
    let user = find_reached(app, actor, name).await?;
    let held = roles_of(app, &user).await?;
    if roles::make_an_administrator(app, &held).await? {
        actor.rights.check_covers(&Power::of_admin())?;
    }
    Ok(user)
}

pub(super) async fn find(app: &App, name: &str) -> Result<UserRecord, ManageError> {
    let find = match UserId::parse(name) {
        Ok(id) => FindUser::ById(id),
        Err(_) => FindUser::ByUsername(name.to_owned()),
    };
    let found = app.store.read(find).await?;
    found.ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> ManageError {
    ManageError::NotFound { kind: "user", name: name.to_owned() }
}

/// Changes what is registered of a user: `edit` makes it from what is shown. It is called again if somebody else changed
/// the user meanwhile. Another email address is verified only if the caller vouches for it.
pub async fn update(
    app: &App,
    actor: &Actor,
    name: &str,
    vouches_for_email: bool,
    edit: impl Fn(&UserView) -> Result<UserMetadata, ManageError>,
) -> Result<UserView, ManageError> {
    until_done("this user", || async {
        let user = find_to_change(app, actor, name).await?;
        let (id, from, held) = (user.id.clone(), user.metadata.clone(), roles_of(app, &user).await?);
        let before = view(app, user, &held).await?;
        let to = registration::checked_user_update(&from, edit(&before)?, vouches_for_email)?;
        let after = UserView { metadata: to.clone(), ..before };
        if to == from {
            return Ok(Some(after));
        }
        let operation = UpdateUser { id, from, to, roles_from: Some(held), now: app.now(), audit: app.audit(actor) };
        let taken = ManageError::conflict(|| name_taken(&after.metadata));
        outcome(app.commit(operation).await.map_err(taken)?, after, || unknown(name))
    })
    .await
}

/// Deletes a user; ends sessions and grants, and refuses the keys that the user owns. Refused if there are any, unless
/// it is confirmed. `check` may refuse what is shown of the user; it is called again if somebody else changed that meanwhile.
pub async fn delete(
    app: &App,
    actor: &Actor,
    name: &str,
    is_confirmed: bool,
    check: impl Fn(&UserView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    until_done("this user", || async {
        let user = find_to_change(app, actor, name).await?;
        let held = roles_of(app, &user).await?;
        let (id, from) = (user.id.clone(), user.seen(held.clone()));
        check(&view(app, user, &held).await?)?;
        uses::check_confirmed(app, Used::User(id.clone()), is_confirmed).await?;
        let change = DeleteUser { id, now: app.now(), audit: app.audit(actor) };
        outcome(app.commit(IfUnchanged { from, change }).await?, (), || unknown(name))
    })
    .await
}

/// What the deletion of a user would end.
pub async fn ends_of_deletion(app: &App, actor: &Actor, name: &str) -> Result<Uses, ManageError> {
    uses::of(app, Used::User(find_to_change(app, actor, name).await?.id)).await
}

/// Disables a user whose keys stay: see [`disable_with_keys`].
pub async fn disable(
    app: &App,
    actor: &Actor,
    name: &str,
    is_confirmed: bool,
    check: impl Fn(&UserView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    disable_with_keys(app, actor, name, &Departure::KeepKeys, is_confirmed, check).await
}

/// Refuses a user from now on; ends sessions and grants for good, which has to be confirmed if there are any, and revokes or hands
/// over all keys in the same transaction if that is asked for. `check` may refuse what is shown of the user.
pub async fn disable_with_keys(
    app: &App,
    actor: &Actor,
    name: &str,
    departure: &Departure,
    is_confirmed: bool,
    check: impl Fn(&UserView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    until_done("this user", || async {
        let user = find_to_change(app, actor, name).await?;
        let held = roles_of(app, &user).await?;
        check(&view(app, user.clone(), &held).await?)?;
        let planned = Planned::of(app, actor, &Owner::User(user.id.clone()), departure).await?;
        uses::check_ends(planned.ends(ends_of_switching_off(app, &user).await?), is_confirmed)?;
        let (id, from, change) = (user.id.clone(), user.seen(held), UserChange::Disable);
        let change = ChangeUser { id, change, now: app.now(), audit: app.audit(actor) };
        outcome(planned.commit(app, actor, from, change).await?, (), || unknown(name))
    })
    .await
}

/// What ends for good if a user is disabled, and all that the user holds. Keys that stay are refused only meanwhile, and the
/// roles stay.
pub async fn disabling(app: &App, actor: &Actor, name: &str, departure: &Departure) -> Result<Disabling, ManageError> {
    let user = find_to_change(app, actor, name).await?;
    let planned = Planned::of(app, actor, &Owner::User(user.id.clone()), departure).await?;
    let ends = planned.ends(ends_of_switching_off(app, &user).await?);
    Ok(Disabling { ends, holds: uses::of(app, Used::User(user.id)).await? })
}

async fn ends_of_switching_off(app: &App, user: &UserRecord) -> Result<Uses, ManageError> {
    if user.disabled_at.is_some() {
        return Ok(Uses::default());
    }
    let Uses { grants, sessions, .. } = uses::of(app, Used::User(user.id.clone())).await?;
    Ok(Uses { grants, sessions, ..Uses::default() })
}

/// Lets a disabled user in again. `check` may refuse what is shown of the user.
pub async fn enable(
    app: &App,
    actor: &Actor,
    name: &str,
    check: impl Fn(&UserView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    change(app, actor, name, check, |_| UserChange::Enable).await
}

/// Vouches for a user's email address: the operator knows that it is the user's.
pub async fn verify_email(app: &App, actor: &Actor, name: &str) -> Result<(), ManageError> {
    if find_reached(app, actor, name).await?.metadata.email.is_none() {
        return Err(ManageError::invalid("email", "the user has no mail address"));
    }
    change(app, actor, name, |_| Ok(()), |_| UserChange::EmailVerified).await
}

/// Gives a user another password; ends the sessions, and clears the counters of failed attempts. `check` may refuse what is
/// shown of the user.
pub async fn set_password(
    app: &App,
    actor: &Actor,
    name: &str,
    password: SecretString,
    check: impl Fn(&UserView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    // Those who may not do it cause no work.
    let user = find_to_change(app, actor, name).await?;
    let held = roles_of(app, &user).await?;
    check(&view(app, user, &held).await?)?;
    check_password(app, &password).map_err(|why| ManageError::invalid("password", why))?;
    let hash = hash(app, actor, &password).await?;
    let password = |user: &UserRecord| {
        let forget_failures = throttle::subjects_of_name(app, &user.metadata.username);
        UserChange::Password(NewPassword { hash: hash.clone(), forget_failures })
    };
    change(app, actor, name, check, password).await
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
    check_password(app, &password).map_err(|why| ManageError::invalid("password", why))?;
    let hash = hash_in_turn(app, &password, &Parties::known(device::of_account(&user.id))).await?;
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
    check: impl Fn(&UserView) -> Result<(), ManageError>,
    change: impl Fn(&UserRecord) -> UserChange,
) -> Result<(), ManageError> {
    until_done("this user", || async {
        let user = find_to_change(app, actor, name).await?;
        let held = roles_of(app, &user).await?;
        let (id, from, change) = (user.id.clone(), user.seen(held.clone()), change(&user));
        check(&view(app, user, &held).await?)?;
        let change = ChangeUser { id, change, now: app.now(), audit: app.audit(actor) };
        outcome(app.commit(IfUnchanged { from, change }).await?, (), || unknown(name))
    })
    .await
}

/// The hash of a password that somebody sets who manages users. However many a caller sets, people can sign in meanwhile.
async fn hash(app: &App, actor: &Actor, password: &SecretString) -> Result<SecretString, ManageError> {
    let parties = match (&actor.rights, &actor.id) {
        (Rights::Some(_), Some(id)) => Parties::manager(id),
        _ => Parties::operator(),
    };
    hash_in_turn(app, password, &parties).await
}

async fn hash_in_turn(app: &App, password: &SecretString, parties: &Parties) -> Result<SecretString, ManageError> {
    let turn = app.passwords.turn(parties).await?;
    Ok(app.passwords.hash(password::prepared(password.expose_secret()), &turn, &*app.rng).await?)
}

/// Whether a password may become somebody's.
pub(crate) fn check_password(app: &App, password: &SecretString) -> Result<(), PasswordRejected> {
    let settings = &app.settings.password;
    let is_refused = |lower: &str| is_common(lower) || settings.breached.contains(lower);
    password::check(password::prepared(password.expose_secret()).expose_secret(), settings.min_length, is_refused)
}
