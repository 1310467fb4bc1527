//! `/consent/{id}`: shows what is asked for, and takes the decision.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
};
use doorward_core::{
    denial::Denial,
    form::Parameters,
    refusal::Refusal,
    scope::{self, Scope, ScopeSet},
};
use http::{HeaderMap, Request, Response, StatusCode};

use super::page::{ConsentPage, ConsentScope};
use crate::{
    app::App,
    authorization::answer,
    authorization::interaction::{self, Interaction},
    browser::{Browser, Session, session},
    http::{body, respond},
    origin::Origin,
    pages::security_headers::FormsEnd,
};

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    let shown = async {
        let (interaction, session) = load(&app, &head.headers, &id).await?;
        match session {
            Some(session) => render(&app, &head.headers, &interaction, &session, None).await,
            None => Ok(respond::redirect(&format!("/continue/{id}"))),
        }
    };
    interaction::answer(&app, &origin, &head.headers, &id, shown).await
}

pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let decided = async {
        let bytes = body::form(&app, &head, body).await?;
        let form = Parameters::parse(&bytes)?;
        let (interaction, session) = load(&app, &head.headers, &id).await?;
        match session {
            Some(session) => decide(&app, &origin, &head.headers, interaction, &session, &form).await,
            // The session ended while the page stood open.
            None => Ok(respond::redirect(&format!("/continue/{id}"))),
        }
    };
    interaction::answer(&app, &origin, &head.headers, &id, decided).await
}

/// The interaction, and the session if it is one that this request accepts.
async fn load(app: &App, headers: &HeaderMap, id: &str) -> Result<(Interaction, Option<Session>), Refusal> {
    let interaction = interaction::find(app, headers, id).await?;
    let session = session::current(app, headers).await?.filter(|session| interaction.accepts(app, session));
    Ok((interaction, session))
}

async fn decide(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    interaction: Interaction,
    session: &Session,
    form: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let browser = Browser::known(app, headers).ok_or(Denial::FormExpired)?;
    let token = form.optional("csrf")?.unwrap_or_default();
    let ticked: ScopeSet = form.all("scope").filter_map(|scope| Scope::parse(scope).ok()).collect();
    if let Err(refusal) = browser.check_form(app, Some(session.record.id.as_str()), token) {
        app.note_refusal(origin, &refusal);
        let mut response = render(app, headers, &interaction, session, Some(&ticked)).await?;
        *response.status_mut() = respond::status(refusal.denial);
        return Ok(response);
    }
    let Interaction { id, stored } = interaction;
    let request = &stored.request;
    let granted = match form.optional("decision")? {
        Some("allow") => request.consented(&ticked),
        Some("deny") => Err(Denial::AccessDenied.into()),
        // Enter in a box decides nothing: the page is shown again.
        _ => return render(app, headers, &Interaction { id, stored }, session, None).await,
    };
    let location = match granted {
        Ok(scopes) => answer::allow(app, origin, request, session, scopes, app.candidates(&id)).await?,
        Err(refusal) => answer::deny(app, origin, request, &id, refusal).await?,
    };
    Ok(respond::redirect(&location))
}

/// The page. `expired` is what was ticked on one that came too late: it is shown again so, never with more.
async fn render(
    app: &App,
    headers: &HeaderMap,
    interaction: &Interaction,
    session: &Session,
    expired: Option<&ScopeSet>,
) -> Result<Response<Body>, Refusal> {
    let request = &interaction.stored.request;
    let client = app.client(request.client_id.as_str()).await?.ok_or(Denial::InteractionUnknown)?;
    let apis = app.snapshots.apis();
    let described = apis.iter().flat_map(|api| api.scopes.iter());
    let of_apis = described
        .filter(|described| request.scopes.contains(described.scope.as_str()))
        .map(|described| ConsentScope::of_an_api(described.scope.as_str(), &described.description));
    // That the client can go on later is shown where it can, also if no scope asks for it.
    let is_shown = |scope: &&str| match *scope {
        scope::OFFLINE_ACCESS => request.may_stay_signed_in(&client),
        scope => request.scopes.contains(scope),
    };
    let of_openid = scope::OIDC_SCOPES.into_iter().filter(is_shown).filter_map(ConsentScope::of_openid_connect);
    let mut scopes: Vec<_> = of_apis.chain(of_openid).collect();
    for scope in &mut scopes {
        scope.required = request.is_required(&scope.scope);
        scope.ticked = scope.required || expired.is_none_or(|ticked| ticked.contains(&scope.scope));
    }
    let browser = Browser::of(app, headers);
    let page = ConsentPage {
        layout: &app.layout,
        action: format!("/consent/{}", interaction.id),
        csrf: browser.form_token(app, Some(session.record.id.as_str())),
        app: client.name.clone(),
        username: session.user.username.clone(),
        switch_account: format!("/sign-in/{}/other", interaction.id),
        returns_to: request.target.display_host(),
        identity_assured: !request.target.is_unassured,
        expired: expired.is_some(),
        scopes,
    };
    let mut response = respond::page(StatusCode::OK, &page, FormsEnd::AtClient);
    browser.remember(app, response.headers_mut());
    Ok(response)
}
