//! Signing out at the request of an application (OpenID Connect RP-Initiated Logout 1.0).
//!
//! `GET /logout` signs out at once where the application shows an ID token of the session, and asks otherwise. What the
//! person is asked travels through the page and is checked again when it comes back: nothing is stored for a request
//! that any site can send. Easy to get wrong: what came in a body must not continue in a URL, where histories and logs
//! keep it.

use std::sync::Arc;

use axum::{Extension, body::Body, extract::State};
use doorward_core::{
    denial::Class,
    form::Parameters,
    id_token::IssuedIdTokens,
    logout::{LogoutRequest, LogoutStep, PARAMETERS},
    refusal::Refusal,
};
use doorward_store::sessions::WhichSessions;
use http::{Response, StatusCode, Uri};

use super::page::{LogoutForwardPage, LogoutPage, NobodySignedInPage};
use crate::{
    app::App,
    browser::{Cookie, Session, Visitor},
    manage::sessions,
    origin::Origin,
    pages::security_headers::FormsEnd,
    web::{
        body::Form,
        navigation::Navigation,
        refused::{self, PageError, noting},
        respond,
    },
};

type Answer = Result<Response<Body>, PageError>;

/// `GET /logout`.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Arc<Origin>>,
    navigation: Navigation,
    visitor: Visitor,
    uri: Uri,
) -> Answer {
    let parameters = Parameters::parse(uri.query().unwrap_or_default().as_bytes()).map_err(leading_on)?;
    take(&app, &origin, navigation, &visitor, &parameters).await
}

/// `POST /logout`: another site's POST carries no Lax cookie, so who is signed in shows in a request of our own. The
/// page makes it, with the same parameters.
pub(super) async fn forward(State(app): State<Arc<App>>, form: Form<PageError>) -> Answer {
    let parameters = form.parameters().map_err(leading_on)?;
    Asked::read(&app, &parameters).await.map_err(leading_on)?;
    let sent = |name: &'static str| parameters.all(name).next().map(|value| (name, value.to_owned()));
    let page = LogoutForwardPage { layout: &app.layout, fields: PARAMETERS.into_iter().filter_map(sent).collect() };
    Ok(respond::page(StatusCode::OK, &page, FormsEnd::AtClient)?)
}

/// `POST /logout/continue`: what the page of [`forward`] sends.
pub(super) async fn proceed(State(app): State<Arc<App>>, visitor: Visitor, form: Form<PageError>) -> Answer {
    let parameters = form.parameters().map_err(leading_on)?;
    take(&app, &form.origin, Navigation::of(&form.head), &visitor, &parameters).await
}

/// Signs out, asks, or does nothing. An image, a frame or a look ahead signs nobody out: it gets the page that asks.
async fn take(
    app: &App,
    origin: &Origin,
    navigation: Navigation,
    visitor: &Visitor,
    parameters: &Parameters<'_>,
) -> Answer {
    let asked = Asked::read(app, parameters).await.map_err(leading_on)?;
    let signed_in = visitor.session.as_ref().map(|session| (&session.user.id, &session.record.id));
    match (asked.request.step(signed_in), &visitor.session) {
        (LogoutStep::Nothing, _) | (_, None) => Ok(asked.leave_as_nobody(app)?),
        (LogoutStep::SignOut, Some(session)) if navigation.opens_a_page => {
            Ok(asked.sign_out(app, origin, session).await?)
        }
        (LogoutStep::SignOut | LogoutStep::Ask, Some(session)) => {
            Ok(asked.ask(app, visitor, session, StatusCode::OK)?)
        }
    }
}

/// An error of the application does not stop the person, who can still sign out and stay here.
fn leading_on(refusal: impl Into<Refusal>) -> PageError {
    let refusal = refusal.into();
    match refusal.denial.class() {
        Class::Request => PageError::from(refusal).leading("/logout", "Sign out"),
        _ => PageError::from(refusal),
    }
}

/// `POST /logout/confirm`: the person agreed.
pub(super) async fn confirm(State(app): State<Arc<App>>, visitor: Visitor, form: Form<PageError>) -> Answer {
    let parameters = form.parameters()?;
    let asked = Asked::read(&app, &parameters).await.map_err(leading_on)?;
    let Some(session) = &visitor.session else { return Ok(asked.leave_as_nobody(&app)?) };
    if let Err(refusal) = visitor.check_form(&app, &parameters) {
        // A page that was left open, or that is not ours: the person is asked again.
        let again = asked.ask(&app, &visitor, session, refused::status(refusal.denial))?;
        return Ok(noting(again, refusal));
    }
    Ok(asked.sign_out(&app, &form.origin, session).await?)
}

/// What is asked, and where the browser goes afterwards.
struct Asked {
    request: LogoutRequest,
    client_name: Option<String>,
    destination: Option<String>,
}

impl Asked {
    async fn read(app: &App, form: &Parameters<'_>) -> Result<Self, Refusal> {
        app.ensure_fresh()?;
        let keys = app.signing_keys();
        let id_tokens = IssuedIdTokens { issuer: &app.settings.issuer, keys: keys.verifying() };
        let request = LogoutRequest::parse(form, id_tokens)?;
        let client = match &request.client_id {
            Some(id) => app.client(id).await?,
            None => None,
        };
        Ok(Self {
            destination: request.destination(client.as_deref())?,
            client_name: client.map(|client| client.metadata.client_name.clone()),
            request,
        })
    }

    /// Ends the session of this browser, and leads on.
    async fn sign_out(&self, app: &App, origin: &Origin, session: &Session) -> Result<Response<Body>, Refusal> {
        let actor = origin.actor(session.user.id.as_str());
        sessions::end_own(app, &actor, &session.record, WhichSessions::Own).await?;
        let mut response = self.leave()?;
        Cookie::Session.clear(app, response.headers_mut());
        Ok(response)
    }

    fn leave(&self) -> Result<Response<Body>, Refusal> {
        respond::redirect(self.destination.as_deref().unwrap_or("/signed-out"))
    }

    /// Leads on where nobody is signed in. If it leads nowhere, a page says that nothing was ended: perhaps the application's
    /// server asked, which has no session.
    fn leave_as_nobody(&self, app: &App) -> Result<Response<Body>, Refusal> {
        match &self.destination {
            Some(destination) => respond::redirect(destination),
            None => respond::page(StatusCode::OK, &NobodySignedInPage { layout: &app.layout }, FormsEnd::Here),
        }
    }

    fn ask(
        self,
        app: &App,
        visitor: &Visitor,
        session: &Session,
        status: StatusCode,
    ) -> Result<Response<Body>, Refusal> {
        let page = LogoutPage {
            layout: &app.layout,
            csrf: visitor.form_token(app),
            username: session.user.metadata.username.clone(),
            client_name: self.client_name,
            client_id: self.request.client_id.filter(|_| self.destination.is_some()),
            post_logout_redirect_uri: self.request.post_logout_redirect_uri.filter(|_| self.destination.is_some()),
            state: self.request.state,
        };
        visitor.show(app, status, &page, FormsEnd::AtClient)
    }
}
