//! What can be done on the account page: disconnect an application, end sessions, sign out.
//!
//! Everything is about the signed-in user: an id of somebody else's changes nothing. Each action leads to a page that
//! reports what was done, so that a reload does not post the form again.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    denial::Denial,
    form::Parameters,
    id::{ClientId, SessionId},
    refusal::Refusal,
};
use doorward_store::sessions::WhichSessions;
use http::{Response, StatusCode};

use super::{done::Done, page::SignedOutPage};
use crate::{
    actor::Actor,
    app::App,
    browser::{Session, SignedIn},
    manage::{grants, sessions},
    pages::security_headers::FormsEnd,
    web::{body::Form, refused::PageError, respond},
};

type Answer = Result<Response<Body>, PageError>;

pub(super) async fn disconnect(State(app): State<Arc<App>>, signed_in: SignedIn, form: Form<PageError>) -> Answer {
    act(&app, &signed_in, &form, async |session, actor, form| {
        let invalid = |_| Refusal::new(Denial::ParameterInvalid).parameter("client");
        let client_id = ClientId::parse(form.required("client")?).map_err(invalid)?;
        grants::disconnect(&app, &actor, &session.record, &client_id).await?;
        Ok(Done::Disconnected(client_id))
    })
    .await
}

pub(super) async fn end_session(State(app): State<Arc<App>>, signed_in: SignedIn, form: Form<PageError>) -> Answer {
    act(&app, &signed_in, &form, async |session, actor, form| {
        let invalid = |_| Refusal::new(Denial::ParameterInvalid).parameter("session");
        let id = SessionId::parse(form.required("session")?).map_err(invalid)?;
        sessions::end_own(&app, &actor, &session.record, WhichSessions::One(id)).await?;
        Ok(Done::SessionEnded)
    })
    .await
}

pub(super) async fn end_other_sessions(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    form: Form<PageError>,
) -> Answer {
    act(&app, &signed_in, &form, async |session, actor, _| {
        sessions::end_own(&app, &actor, &session.record, WhichSessions::Others).await?;
        Ok(Done::OtherSessionsEnded)
    })
    .await
}

pub(super) async fn sign_out(State(app): State<Arc<App>>, signed_in: SignedIn, form: Form<PageError>) -> Answer {
    act(&app, &signed_in, &form, async |session, actor, _| {
        sessions::end_own(&app, &actor, &session.record, WhichSessions::Own).await?;
        Ok(Done::SignedOut)
    })
    .await
}

/// `GET /signed-out`.
pub(super) async fn signed_out(State(app): State<Arc<App>>) -> Answer {
    let page = SignedOutPage { layout: &app.layout, sign_in: "/sign-in".into() };
    Ok(respond::page(StatusCode::OK, &page, FormsEnd::Here)?)
}

/// Does what a form of the account page asks for, if our own page posted it.
pub(super) async fn act(
    app: &App,
    SignedIn { visitor, session }: &SignedIn,
    form: &Form<PageError>,
    action: impl AsyncFnOnce(&Session, Actor, &Parameters<'_>) -> Result<Done, Refusal>,
) -> Answer {
    let done = async {
        let parameters = form.parameters()?;
        visitor.check_form(app, &parameters)?;
        action(session, form.origin.actor(session.user.id.as_str()), &parameters).await?.answer(app)
    };
    done.await.map_err(|refusal: Refusal| PageError::from(refusal).leading("/account", "Back to your account"))
}
