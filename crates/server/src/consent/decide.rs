//! `/consent/{id}`: shows what is asked for, and takes the decision.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    denial::Denial,
    form::Parameters,
    refusal::Refusal,
    scope::{self, Scope, ScopeSet},
};
use http::{Response, StatusCode};

use super::page::{ConsentPage, ConsentScope};
use crate::{
    app::App,
    authorization::{answer, interaction::Interaction, step::Step},
    browser::Session,
    origin::Origin,
    pages::security_headers::FormsEnd,
    web::{
        body::Form,
        refused::{self, PageError, noting},
        respond,
    },
};

pub(crate) async fn show(State(app): State<Arc<App>>, step: Step) -> Result<Response<Body>, PageError> {
    match step.accepted_session(&app) {
        Some(session) => Ok(render(&app, &step, session, None)?),
        None => Ok(respond::redirect(&step.next())?),
    }
}

pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    step: Step,
    form: Form<PageError>,
) -> Result<Response<Body>, PageError> {
    match step.accepted_session(&app) {
        Some(session) => Ok(decide(&app, &form.origin, &step, session, &form.parameters()?).await?),
        // The session ended while the page was open.
        None => Ok(respond::redirect(&step.next())?),
    }
}

async fn decide(
    app: &App,
    origin: &Origin,
    step: &Step,
    session: &Session,
    form: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let ticked: ScopeSet = form.all("scope").filter_map(|scope| Scope::parse(scope).ok()).collect();
    if let Err(refusal) = step.visitor.check_form(app, form) {
        if refusal.denial != Denial::FormExpired {
            return Err(refusal);
        }
        let mut response = render(app, step, session, Some(&ticked))?;
        *response.status_mut() = refused::status(refusal.denial);
        return Ok(noting(response, refusal));
    }
    let Interaction { id, stored } = &step.interaction;
    let request = &stored.request;
    let granted = match form.optional("decision")? {
        Some("allow") => request.consented(&ticked),
        Some("deny") => Err(Denial::AccessDenied.into()),
        // Enter in a box decides nothing: the page is shown again.
        _ => return render(app, step, session, None),
    };
    match granted {
        Ok(scopes) => answer::allow(app, origin, request, session, scopes, app.candidates(id)).await,
        Err(refusal) => answer::deny(app, origin, request, id, refusal).await,
    }
}

/// The page. `expired` has the ticked scopes of a page that expired: they are ticked again, and never more.
fn render(app: &App, step: &Step, session: &Session, expired: Option<&ScopeSet>) -> Result<Response<Body>, Refusal> {
    let Interaction { id, stored } = &step.interaction;
    let request = &stored.request;
    let apis = app.snapshots.apis();
    let described = apis.iter().flat_map(|api| api.metadata.scopes.iter());
    let of_apis = described
        .filter(|described| request.scopes.contains(described.scope.as_str()))
        .map(|described| ConsentScope::of_an_api(described.scope.as_str(), &described.description));
    // That the client can continue later is shown where it can, also if no scope asks for it.
    let is_shown = |scope: &&str| match *scope {
        scope::OFFLINE_ACCESS => request.may_stay_signed_in(&step.client),
        scope => request.scopes.contains(scope),
    };
    let of_openid = scope::OIDC_SCOPES.into_iter().filter(is_shown).filter_map(ConsentScope::of_openid_connect);
    let mut scopes: Vec<_> = of_apis.chain(of_openid).collect();
    for scope in &mut scopes {
        scope.required = request.is_required(&scope.scope);
        scope.ticked = scope.required || expired.is_none_or(|ticked| ticked.contains(&scope.scope));
    }
    let page = ConsentPage {
        layout: &app.layout,
        action: format!("/consent/{id}"),
        csrf: step.visitor.form_token(app),
        client_name: step.client.metadata.client_name.clone(),
        client_uri: step.client.metadata.client_uri.clone(),
        username: session.user.metadata.username.clone(),
        switch_account: format!("/sign-in/{id}/other"),
        returns_to: request.target.display_host(),
        identity_assured: !request.target.is_unassured,
        expired: expired.is_some(),
        scopes,
    };
    step.visitor.show(app, StatusCode::OK, &page, FormsEnd::AtClient)
}
