//! What comes next for an authorization request: a page of ours, or the answer to the client.

use axum::body::Body;
use doorward_core::{
    authorization_request::AuthorizationRequest,
    client::Client,
    clock::Timestamp,
    denial::Denial,
    next_step::{NextStep, SignedIn, next_step},
    refusal::Refusal,
};
use doorward_store::{authorization::KeepRequest, grants::FindConsent};
use http::{HeaderMap, Response};

use super::{answer, interaction::Interaction};
use crate::{
    app::App,
    browser::session::{self, Session},
    origin::Origin,
    web::respond,
};

/// What a request of `client` needs next, given who is signed in.
pub(crate) async fn step(
    app: &App,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    client: &Client,
    requested_at: Timestamp,
) -> Result<NextStep<Session>, Refusal> {
    let signed_in = match session::current(app, headers).await? {
        None => None,
        Some(session) => {
            let find = FindConsent { user_id: session.user.id.clone(), client_id: client.id.clone() };
            let consented = app.read(find).await?;
            let (user_id, auth_time) = (session.user.id.clone(), session.record.auth_time());
            Some(SignedIn { user_id, auth_time, consented, session })
        }
    };
    Ok(next_step(request, requested_at, client, signed_in, app.now()))
}

/// Leads a stored request to its next step: a page of ours, or back to the client.
pub(crate) async fn next(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    interaction: Interaction,
) -> Result<Response<Body>, Refusal> {
    let client = interaction.client(app).await?;
    let Interaction { id, stored } = interaction;
    let request = &stored.request;
    if request.scopes.is_empty() {
        let refusal = Refusal::new(Denial::ScopeInvalid).fact("why", "the scopes were removed from their API");
        return answer::deny(app, origin, request, &id, refusal).await;
    }
    match step(app, headers, request, &client, stored.requested_at).await? {
        NextStep::Answer(Ok(session)) => {
            answer::allow(app, origin, request, &session, request.scopes.clone(), app.candidates(&id)).await
        }
        NextStep::Answer(Err(denial)) => answer::deny(app, origin, request, &id, denial.into()).await,
        NextStep::Consent(session) => {
            let (candidates, user) = (app.candidates(&id), session.user.id);
            app.write(KeepRequest { candidates, user, now: app.now() }).await?;
            respond::redirect(&format!("/consent/{id}"))
        }
        NextStep::SignIn => respond::redirect(&format!("/sign-in/{id}")),
    }
}
