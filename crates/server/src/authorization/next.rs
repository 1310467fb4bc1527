//! What comes next for an authorization request: a page of ours, or the answer to the client.

use doorward_core::{authorization_request::AuthorizationRequest, clock::Timestamp, denial::Denial, refusal::Refusal};
use doorward_store::grants::FindConsent;
use http::HeaderMap;

use super::{answer, interaction::Interaction};
use crate::{
    app::App,
    browser::session::{self, Session},
    origin::Origin,
};

/// What comes next for a request.
pub(crate) enum Step {
    /// Give out a code.
    Allow(Box<Session>),
    /// Ask the user.
    Consent,
    /// Tell the client no.
    Refuse(Denial),
    /// Let the user sign in.
    SignIn,
}

pub(crate) async fn step(
    app: &App,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    requested_at: Timestamp,
) -> Result<Step, Refusal> {
    let session = session::current(app, headers).await?;
    let is_good =
        |session: &Session| !request.demands_sign_in(session.record.times.created_at, requested_at, app.now());
    let Some(session) = session.filter(is_good) else {
        return Ok(if request.prompt.none { Step::Refuse(Denial::LoginRequired) } else { Step::SignIn });
    };
    let client_id = request.client_id.clone();
    let remembered = app.read(FindConsent { user_id: session.user.id.clone(), client_id }).await?;
    let client = app.client(request.client_id.as_str()).await?.ok_or(Denial::InteractionUnknown)?;
    Ok(match request.demands_consent(&client, remembered.as_ref()) {
        true if request.prompt.none => Step::Refuse(Denial::ConsentRequired),
        true => Step::Consent,
        false => Step::Allow(Box::new(session)),
    })
}

/// Where a stored request goes next: a page of ours, or back to the client.
pub(crate) async fn next(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    interaction: Interaction,
) -> Result<String, Refusal> {
    let Interaction { id, stored } = interaction;
    let request = &stored.request;
    match step(app, headers, request, stored.requested_at).await? {
        Step::Allow(session) => {
            answer::allow(app, origin, request, &session, request.scopes.clone(), app.candidates(&id)).await
        }
        Step::Consent => Ok(format!("/consent/{id}")),
        Step::Refuse(denial) => answer::deny(app, origin, request, &id, denial.into()).await,
        Step::SignIn => Ok(format!("/sign-in/{id}")),
    }
}
