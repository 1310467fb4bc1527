//! `GET /account`: connected applications, sessions, and what happened lately.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{clock::Timestamp, id::UserId, refusal::Refusal, scope::ScopeSet};
use doorward_store::audit::{AuditAction, AuditEvent};
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::{
    done::Done,
    page::{self, AccountPage, ConnectedApp, SecurityEvent},
    user_agent::describe_user_agent,
};
use crate::{
    app::App,
    browser::{Cookie, Session, Visitor},
    manage::{
        audit,
        grants::{self, ConnectedClient},
        keys::{KeyState, own},
        sessions,
    },
    pages::{scope_in_words, security_headers::FormsEnd, time_in_words::Moment},
    web::{refused::PageError, respond},
};

/// Events on the page.
const EVENTS: i64 = 20;
/// Failed sign-ins that are counted. Those that follow each other are one line, so that guesses hide nothing else.
const FAILURES: i64 = 200;

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response<Body>, PageError> {
    match &visitor.session {
        None => Ok(respond::redirect("/sign-in")?),
        Some(session) => Ok(render(&app, &headers, &visitor, session).await?),
    }
}

/// The page, with what was just done.
async fn render(
    app: &App,
    headers: &HeaderMap,
    visitor: &Visitor,
    session: &Session,
) -> Result<Response<Body>, Refusal> {
    let done = Done::read(app, headers);
    let (user_id, now) = (&session.user.id, app.now());
    let leaked = own::leaked(app, user_id).await?;
    let mut events = audit::of_user(app, user_id, EVENTS).await?;
    events.extend(audit::failed_sign_ins(app, user_id, FAILURES).await?);
    events.sort_by(|a, b| (b.at, b.id.as_str()).cmp(&(a.at, a.id.as_str())));
    let moment = |at: Timestamp| Moment { at, now };
    let mut shown: Vec<page::Session> = sessions::recent(app, user_id)
        .await?
        .into_iter()
        .map(|other| page::Session {
            session: other.id.to_string(),
            browser: describe_user_agent(&other.user_agent),
            address: Some(other.address),
            signed_in: moment(other.times.created_at),
            last_seen: moment(other.times.last_seen_at),
            this_one: other.id == session.record.id,
        })
        .collect();
    shown.sort_by_key(|other| !other.this_one);
    let page = AccountPage {
        layout: &app.layout,
        csrf: visitor.form_token(app),
        username: session.user.metadata.username.clone(),
        notice: match &done {
            Some(done) => Some(done.sentence(app).await?),
            None => None,
        },
        apps: grants::connected_clients(app, user_id)
            .await?
            .into_iter()
            .map(|client| connected_app(app, client, now))
            .collect(),
        disconnect_action: "/account/disconnect".into(),
        sessions: shown,
        end_session_action: "/account/end-session".into(),
        end_others_action: "/account/end-other-sessions".into(),
        sign_out_action: "/account/sign-out".into(),
        has_keys: !own::open_apis(app).is_empty() || !own::list(app, user_id).await?.is_empty(),
        leaked_keys: leaked.len(),
        leaked_key_works: leaked.iter().any(|key| key.state == KeyState::Active),
        events: described(app, events, now).await?,
    };
    let mut response = visitor.show(app, StatusCode::OK, &page, FormsEnd::Here)?;
    if done.is_some() {
        Cookie::Done.clear(app, response.headers_mut());
    }
    Ok(response)
}

fn connected_app(app: &App, client: ConnectedClient, now: Timestamp) -> ConnectedApp {
    ConnectedApp {
        client: client.client_id.to_string(),
        name: client.name.unwrap_or_else(|| "A deleted app".to_owned()),
        may: sentences(app, &client.scopes),
        since: Moment { at: client.since, now },
        last_used: client.last_used_at.map(|at| Moment { at, now }),
    }
}

/// What scopes allow, in words.
fn sentences(app: &App, scopes: &ScopeSet) -> Vec<String> {
    let apis = app.snapshots.apis();
    let of_apis = apis.iter().flat_map(|api| api.metadata.scopes.iter());
    let of_apis = of_apis.filter(|described| scopes.contains(described.scope.as_str()));
    let of_openid = scopes.iter().filter_map(|scope| scope_in_words::of_openid_connect(scope.as_str()));
    of_apis.map(|described| described.description.clone()).chain(of_openid.map(str::to_owned)).collect()
}

/// The events that people may want to know of, in words.
async fn described(app: &App, events: Vec<AuditEvent>, now: Timestamp) -> Result<Vec<SecurityEvent>, Refusal> {
    let mut described = Vec::new();
    let mut events = events.into_iter().peekable();
    while let Some(event) = events.next() {
        if event.action == AuditAction::RequestRefused {
            let mut count = event.count;
            while let Some(earlier) = events.next_if(|earlier| earlier.action == AuditAction::RequestRefused) {
                count += earlier.count;
            }
            described.push(failed_sign_ins(&event, count, now));
            continue;
        }
        let text = |name: &str| event.details.get(name).and_then(Value::as_str);
        let client_id = text("client_id").or(event.actor.as_deref()).unwrap_or_default();
        let client = app.client_name(client_id).await?.unwrap_or_else(|| "An app".to_owned());
        let (sentence, detail, alarming) = match event.action {
            AuditAction::SessionBegan => {
                let browser = describe_user_agent(text("user_agent").unwrap_or_default());
                let from = event.address.as_deref().unwrap_or("an unknown address");
                ("You signed in.".to_owned(), Some(format!("{browser}, from {from}")), false)
            }
            AuditAction::SessionsEnded if is_a_user(event.subject.as_deref()) => {
                ("The operator signed you out everywhere.".to_owned(), None, false)
            }
            AuditAction::SessionsEnded => ("You signed out a browser.".to_owned(), None, false),
            AuditAction::GrantGiven => (format!("You gave {client} access."), None, false),
            AuditAction::ClientDisconnected => (format!("You disconnected {client}."), None, false),
            AuditAction::KeyCreated if text("predecessor").is_some() => {
                (format!("The API key {} got a successor.", text("name").unwrap_or_default()), None, false)
            }
            AuditAction::KeyCreated => {
                (format!("You created the API key {}.", text("name").unwrap_or_default()), None, false)
            }
            AuditAction::KeyRevoked => ("You revoked an API key.".to_owned(), None, false),
            AuditAction::UserPasswordSet if event.actor == event.subject => {
                ("You changed your password.".to_owned(), None, false)
            }
            AuditAction::UserPasswordSet => ("The operator changed your password.".to_owned(), None, true),
            AuditAction::UserEnabled => ("Your account was enabled again.".to_owned(), None, false),
            AuditAction::CodeReplayed | AuditAction::RefreshTokenReused => (
                format!("{client} was disconnected because one of its credentials was used twice."),
                Some("If you noticed nothing odd, the app probably has an error.".to_owned()),
                true,
            ),
            _ => continue,
        };
        described.push(SecurityEvent { sentence, detail, at: Moment { at: event.at, now }, alarming });
    }
    Ok(described)
}

/// Whether something was done to a user, and not by the user to one session.
fn is_a_user(subject: Option<&str>) -> bool {
    subject.is_some_and(|subject| UserId::parse(subject).is_ok())
}

/// Failed sign-ins that follow each other; `last` is the newest.
fn failed_sign_ins(last: &AuditEvent, count: i64, now: Timestamp) -> SecurityEvent {
    let from = last.address.as_deref().unwrap_or("an unknown address");
    let (sentence, detail) = match count {
        1 => ("A sign-in failed: wrong password.".to_owned(), format!("From {from}")),
        count => (format!("{count} sign-ins failed: wrong password."), format!("Last from {from}")),
    };
    let detail = format!("{detail}. If it was not you, someone is guessing your password. They did not get in.");
    SecurityEvent { sentence, detail: Some(detail), at: Moment { at: last.at, now }, alarming: false }
}
