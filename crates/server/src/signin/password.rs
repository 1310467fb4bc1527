//! Signing in with a name and a password.
//!
//! An attempt has its turn first and is counted then, so that what is refused for want of room costs no write.

use std::sync::Arc;

use doorward_core::{
    denial::Denial,
    password,
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
    username,
};
use doorward_store::users::{FindForSignIn, ReplaceHash, UserRecord};
use http::HeaderMap;

use crate::{
    app::App,
    browser::device,
    origin::Origin,
    passwords::{Against, Turn},
    throttle::{self, Attempt},
};

/// Checks a name and a password. An unknown name costs the same work and gets the same answer as a wrong password.
pub(crate) async fn check(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    username: &str,
    password: SecretString,
) -> Result<UserRecord, Refusal> {
    let found = app.read(FindForSignIn { username: username.to_owned(), lot: lot(app, username) }).await?;
    let browser = found.user.as_ref().and_then(|user| device::known(app, headers, user));
    let turn = app.passwords.turn(&throttle::parties(app, origin, username, browser.as_ref())).await?;
    let attempt = Attempt::reserve(app, origin, username, browser).await?;
    let against = match &found.user {
        Some(user) => Against::Hash(&user.password_hash),
        None => Against::Nothing { like: found.stand_in.as_ref() },
    };
    let matches = match app.passwords.verify(&password, against, &turn).await {
        Ok(matches) => matches,
        Err(refusal) => {
            attempt.cancel(app).await?;
            return Err(refusal);
        }
    };
    match found.user {
        None => Err(Denial::UserUnknown.into()),
        Some(user) if !matches => Err(Refusal::new(Denial::PasswordWrong).about(&user.id)),
        Some(user) if user.disabled_at.is_some() => Err(Refusal::new(Denial::UserDisabled).about(&user.id)),
        Some(user) => {
            attempt.succeeded(app).await?;
            Ok(with_current_hash(app, user, &password, &turn).await)
        }
    }
}

/// Which user replaces a name that nobody has: the same for each spelling, and not predictable.
fn lot(app: &App, username: &str) -> u64 {
    let digest = app.peppers.digest(&format!("stand-in/{}", username::counted_as(username))).digest;
    digest.as_bytes().iter().take(8).fold(0, |lot, byte| lot << 8 | u64::from(*byte))
}

/// Gives a user whose hash has an older cost one of today's. If that fails now, the next sign-in does it.
async fn with_current_hash(app: &App, user: UserRecord, password: &SecretString, turn: &Arc<Turn>) -> UserRecord {
    if app.passwords.is_current(&user.password_hash) {
        return user;
    }
    let replaced = async {
        let to = app.passwords.hash(password::prepared(password.expose_secret()), turn, &*app.rng).await?;
        let operation = ReplaceHash { id: user.id.clone(), from: user.password_hash.clone(), to: to.clone() };
        Ok::<_, Refusal>(app.write(operation).await?.then_some(to))
    };
    match replaced.await {
        Ok(Some(password_hash)) => UserRecord { password_hash, ..user },
        Ok(None) => user,
        Err(refusal) => {
            tracing::debug!(code = refusal.denial.code(), user = %user.id, "the password's hash keeps its older cost");
            user
        }
    }
}
