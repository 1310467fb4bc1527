//! Signing in with a name and a password.

use doorward_core::{denial::Denial, refusal::Refusal, secret::SecretString};
use doorward_store::users::{FindUser, UserRecord};
use http::HeaderMap;

use crate::{app::App, browser::device, origin::Origin, throttle::Attempt};

/// Checks a name and a password. An unknown name costs the same work and gets the same answer as a wrong password.
pub(crate) async fn check(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    username: &str,
    password: SecretString,
) -> Result<UserRecord, Refusal> {
    let user = app.read(FindUser::ByUsername(username.to_owned())).await?;
    let device = user.as_ref().and_then(|user| device::known(app, headers, &user.id));
    let attempt = Attempt::reserve(app, origin, username, device).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let matches = match app.passwords.verify(&password, hash).await {
        Ok(matches) => matches,
        Err(refusal) => {
            attempt.cancel(app).await?;
            return Err(refusal);
        }
    };
    match user {
        None => Err(Denial::UserUnknown.into()),
        Some(user) if !matches => Err(Refusal::new(Denial::PasswordWrong).fact("user", &user.id)),
        Some(user) if user.disabled_at.is_some() => Err(Refusal::new(Denial::UserDisabled).fact("user", &user.id)),
        Some(user) => {
            attempt.succeeded(app).await?;
            Ok(user)
        }
    }
}
