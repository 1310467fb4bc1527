//! The authorization endpoint (OAuth 2.1 section 4.1.1): reads the request, and decides what comes next.
//!
//! A doubt about client, redirect URI or `state` is shown on a page; every other mistake is reported to the client. What
//! needs no page is answered in the first response.

use std::sync::Arc;

use axum::{Extension, body::Body, extract::State};
use doorward_core::{
    authorization_request::AuthorizationRequest, authorization_response::Target, client::Client, denial::Denial,
    form::Parameters, id::UserId, id_token::IssuedIdTokens, next_step::NextStep, refusal::Refusal,
};
use http::{HeaderMap, Method, Response, Uri};

use crate::{
    app::App,
    authorization::{answer, interaction, next},
    browser::Browser,
    origin::Origin,
    web::{body::Form, navigation::Navigation, refused::PageError, respond},
};

/// `GET`: the parameters are in the query.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Arc<Origin>>,
    navigation: Navigation,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response<Body>, PageError> {
    // It would be given a code that nobody takes.
    if method == Method::HEAD {
        navigation.demand()?;
    }
    let (client, request) = match read(&app, uri.query().unwrap_or_default().as_bytes()).await? {
        Ok(read) => read,
        Err((target, refusal)) => return Ok(answer::refuse(&app, &origin, &target, refusal)?),
    };
    let browser = Browser::of(&app, &headers);
    let mut response = match next::step(&app, &headers, &request, &client, app.now()).await? {
        NextStep::Answer(Ok(session)) => {
            let scopes = request.scopes.clone();
            answer::allow(&app, &origin, &request, &session, scopes, Vec::new()).await?
        }
        NextStep::Answer(Err(denial)) => answer::refuse(&app, &origin, &request.target, denial.into())?,
        NextStep::Consent(session) => {
            let page = Page::Consent(session.user.id);
            store_for(page, &app, &origin, navigation, request, Some(&browser)).await?
        }
        NextStep::SignIn => store_for(Page::SignIn, &app, &origin, navigation, request, Some(&browser)).await?,
    };
    browser.remember(&app, response.headers_mut());
    Ok(response)
}

/// `POST`: the parameters are in the body. Another site's POST carries no Lax cookie, so who is signed in shows in a
/// `GET` of our own.
pub(crate) async fn post(State(app): State<Arc<App>>, form: Form<PageError>) -> Result<Response<Body>, PageError> {
    match read(&app, form.bytes()).await? {
        Ok((_, request)) => {
            let navigation = Navigation::of(&form.head);
            Ok(store_for(Page::Continue, &app, &form.origin, navigation, request, None).await?)
        }
        Err((target, refusal)) => Ok(answer::refuse(&app, &form.origin, &target, refusal)?),
    }
}

/// Where a stored request leads.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Page {
    Consent(UserId),
    Continue,
    SignIn,
}

/// Stores a request and leads to its page. What can't open a page leaves nothing.
async fn store_for(
    page: Page,
    app: &App,
    origin: &Origin,
    navigation: Navigation,
    request: AuthorizationRequest,
    browser: Option<&Browser>,
) -> Result<Response<Body>, Refusal> {
    navigation.demand()?;
    let (path, user) = match page {
        Page::Consent(user) => ("consent", Some(user)),
        Page::Continue => ("continue", None),
        Page::SignIn => ("sign-in", None),
    };
    let id = interaction::store(app, origin, request, browser, user).await?;
    respond::redirect(&format!("/{path}/{id}"))
}

/// A request with its client, or the refusal and the client to send it to.
type Read = Result<(Arc<Client>, AuthorizationRequest), (Target, Refusal)>;

/// Reads the request; an `Err` of the outer kind is for a page.
async fn read(app: &App, parameters: &[u8]) -> Result<Read, Refusal> {
    app.ensure_fresh()?;
    let form = Parameters::parse(parameters)?;
    let client = match form.all("client_id").next() {
        Some(id) => app.client(id).await?,
        None => None,
    };
    let target = Target::find(&form, client.as_deref())?;
    let client = client.ok_or(Denial::AuthorizeClientUnknown)?;
    let (apis, keys) = (app.snapshots.apis(), app.signing_keys());
    let id_tokens = IssuedIdTokens { issuer: &app.settings.issuer, keys: keys.verifying() };
    Ok(match AuthorizationRequest::parse(&form, &client, target.clone(), &apis, id_tokens) {
        Ok(request) => Ok((client, request)),
        Err(refusal) => Err((target, refusal)),
    })
}
