//! What can be done on the account page: disconnect an application, end sessions, sign out.
//!
//! Everything is about the signed-in user alone: an id of somebody else's changes nothing.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    denial::Denial,
    form::Parameters,
    id::{ClientId, SessionId},
    refusal::Refusal,
};
use doorward_store::{
    grants::DisconnectClient,
    sessions::{EndSessions, WhichSessions},
};
use http::{Request, Response, StatusCode};

use super::{done::Done, page::SignedOutPage};
use crate::{
    actor::Details,
    app::App,
    browser::{Browser, Cookie, Session, session},
    http::{body, respond},
    origin::Origin,
    pages::security_headers::FormsEnd,
};

/// What a form of the account page asks for.
#[derive(Clone, Copy)]
enum Action {
    Disconnect,
    EndOtherSessions,
    EndSession,
    SignOut,
}

pub(crate) async fn disconnect(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    handle(&app, request, Action::Disconnect).await
}

pub(crate) async fn end_session(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    handle(&app, request, Action::EndSession).await
}

pub(crate) async fn end_other_sessions(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    handle(&app, request, Action::EndOtherSessions).await
}

pub(crate) async fn sign_out(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    handle(&app, request, Action::SignOut).await
}

async fn handle(app: &App, request: Request<Body>, action: Action) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let done = async {
        let Some(session) = session::current(app, &head.headers).await? else {
            return Ok(respond::redirect("/sign-in"));
        };
        let bytes = body::form(app, &head, body).await?;
        let form = Parameters::parse(&bytes)?;
        let browser = Browser::known(app, &head.headers).ok_or(Denial::FormExpired)?;
        let token = form.optional("csrf")?.unwrap_or_default();
        browser.check_form(app, Some(session.record.id.as_str()), token)?;
        act(app, &origin, &session, &form, action).await
    };
    match done.await {
        Ok(response) => response,
        Err(refusal) => respond::error_page_leading(app, &origin, &refusal, "/account", "Back to your account"),
    }
}

/// Does it, and leads to the page that says so: posting again by a reload would be a surprise.
async fn act(
    app: &App,
    origin: &Origin,
    session: &Session,
    form: &Parameters<'_>,
    action: Action,
) -> Result<Response<Body>, Refusal> {
    let user_id = session.user.id.clone();
    let actor = origin.actor(user_id.as_str());
    let invalid = |parameter: &'static str| Refusal::new(Denial::ParameterInvalid).parameter(parameter);
    let end = |which, subject: Option<String>| EndSessions {
        user_id: user_id.clone(),
        which,
        now: app.now(),
        audit: app.event(&actor, "sessions.ended", subject, Details::none()),
    };
    let done = match action {
        Action::Disconnect => {
            let client_id = ClientId::parse(form.required("client")?).map_err(|_| invalid("client"))?;
            let details = Details::none().with("client_id", &client_id);
            let audit = app.event(&actor, "client.disconnected", Some(user_id.to_string()), details);
            let operation = DisconnectClient { user_id, client_id: client_id.clone(), now: app.now(), audit };
            app.write(operation).await?;
            Done::Disconnected(client_id)
        }
        Action::EndSession => {
            let id = SessionId::parse(form.required("session")?).map_err(|_| invalid("session"))?;
            app.write(end(WhichSessions::One(id.clone()), Some(id.to_string()))).await?;
            Done::SessionEnded
        }
        Action::EndOtherSessions => {
            app.write(end(WhichSessions::AllBut(session.record.id.clone()), None)).await?;
            Done::OtherSessionsEnded
        }
        Action::SignOut => {
            let id = session.record.id.clone();
            app.write(end(WhichSessions::One(id.clone()), Some(id.to_string()))).await?;
            let mut response = respond::redirect("/signed-out");
            Cookie::Session.clear(app, response.headers_mut());
            return Ok(response);
        }
    };
    let mut response = respond::redirect("/account");
    done.carry(app, response.headers_mut());
    Ok(response)
}

/// `GET /signed-out`.
pub(crate) async fn signed_out(State(app): State<Arc<App>>) -> Response<Body> {
    let page = SignedOutPage { layout: &app.layout, sign_in: "/sign-in".into() };
    respond::page(StatusCode::OK, &page, FormsEnd::Here)
}
