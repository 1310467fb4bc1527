//! `GET /account`: connected applications, sessions, and what happened lately.

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, extract::State};
use doorward_core::{clock::Timestamp, id::ClientId, refusal::Refusal, scope::ScopeSet};
use doorward_store::{
    audit::{AuditEvent, AuditOfUser},
    grants::{GrantRecord, ListGrants},
    sessions::ListSessions,
};
use http::{HeaderMap, Request, Response, StatusCode};

use super::{
    done::Done,
    page::{self, AccountPage, ConnectedApp, SecurityEvent},
    user_agent::describe_user_agent,
};
use crate::{
    app::App,
    consent::page::ConsentScope,
    http::{Origin, cookies::Cookie, respond},
    pages::{security_headers::FormsEnd, time_in_words::Moment},
    signin::{
        csrf::Browser,
        session::{self, Session},
    },
};

/// Grants that the page is made of, the newest.
const GRANTS: i64 = 500;
/// Events on the page.
const EVENTS: i64 = 20;

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    let shown = async {
        match session::current(&app, &head.headers).await? {
            None => Ok(respond::redirect("/sign-in")),
            Some(session) => render(&app, &head.headers, &session).await,
        }
    };
    match shown.await {
        Ok(response) => response,
        Err(refusal) => respond::error_page(&app, &origin, &refusal),
    }
}

/// The page, with what was just done.
async fn render(app: &App, headers: &HeaderMap, session: &Session) -> Result<Response<Body>, Refusal> {
    let done = Done::read(app, headers);
    let (user_id, now) = (session.user.id.clone(), app.now());
    let grants = app.read(ListGrants { user_id: user_id.clone(), now, after: None, limit: GRANTS }).await?;
    let limit = app.settings.limits.sessions_per_user;
    let sessions = app.read(ListSessions { user_id: user_id.clone(), after: None, limit }).await?;
    let events = app.read(AuditOfUser { user_id, limit: EVENTS }).await?;
    let moment = |at: Timestamp| Moment { at, now };
    let mut shown: Vec<page::Session> = sessions
        .into_iter()
        .filter(|other| other.times.is_live(&app.settings.session, now))
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
    let browser = Browser::of(app, headers);
    let page = AccountPage {
        layout: &app.layout,
        csrf: browser.form_token(app, Some(session.record.id.as_str())),
        username: session.user.username.clone(),
        notice: match &done {
            Some(done) => Some(done.sentence(app).await?),
            None => None,
        },
        apps: connected_apps(app, grants, now).await?,
        disconnect_action: "/account/disconnect".into(),
        sessions: shown,
        end_session_action: "/account/end-session".into(),
        end_others_action: "/account/end-other-sessions".into(),
        sign_out_action: "/account/sign-out".into(),
        events: described(app, events, now).await?,
    };
    let mut response = respond::page(StatusCode::OK, &page, FormsEnd::Here);
    browser.remember(app, response.headers_mut());
    if done.is_some() {
        Cookie::Done.clear(app, response.headers_mut());
    }
    Ok(response)
}

/// One row for each client, whatever it was granted in how many parts.
async fn connected_apps(app: &App, grants: Vec<GrantRecord>, now: Timestamp) -> Result<Vec<ConnectedApp>, Refusal> {
    let mut by_client: BTreeMap<ClientId, (ScopeSet, Timestamp, Option<Timestamp>)> = BTreeMap::new();
    for grant in grants {
        let entry = by_client.entry(grant.client_id).or_insert((ScopeSet::default(), grant.created_at, None));
        entry.0 = entry.0.union(&grant.scopes);
        entry.1 = entry.1.min(grant.created_at);
        entry.2 = entry.2.max(grant.last_used_at);
    }
    let mut apps = Vec::new();
    for (id, (scopes, since, last_used)) in by_client {
        let client = app.client(id.as_str()).await?;
        apps.push(ConnectedApp {
            name: client.map_or_else(|| "An app that is gone".to_owned(), |client| client.name.clone()),
            client: id.to_string(),
            may: sentences(app, &scopes),
            since: Moment { at: since, now },
            last_used: last_used.map(|at| Moment { at, now }),
        });
    }
    apps.sort_by_key(|app| std::cmp::Reverse(app.last_used.map(|moment| moment.at).max(Some(app.since.at))));
    Ok(apps)
}

/// What scopes allow, in words.
fn sentences(app: &App, scopes: &ScopeSet) -> Vec<String> {
    let apis = app.snapshots.apis();
    let of_apis = apis.iter().flat_map(|api| api.scopes.iter());
    let of_apis = of_apis.filter(|described| scopes.contains(described.scope.as_str()));
    let of_openid = scopes.iter().filter_map(|scope| ConsentScope::of_openid_connect(scope.as_str()));
    of_apis.map(|described| described.description.clone()).chain(of_openid.map(|scope| scope.sentence)).collect()
}

async fn described(app: &App, events: Vec<AuditEvent>, now: Timestamp) -> Result<Vec<SecurityEvent>, Refusal> {
    let mut described = Vec::new();
    for event in events {
        let details: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&event.details).unwrap_or_default();
        let text = |name: &str| details.get(name).and_then(serde_json::Value::as_str);
        let client_id = text("client_id").or(event.actor.as_deref()).unwrap_or_default();
        let client = app.client(client_id).await?.map_or_else(|| "An app".to_owned(), |client| client.name.clone());
        let (sentence, detail, alarming) = match event.action.as_str() {
            "session.began" => {
                let browser = describe_user_agent(text("user_agent").unwrap_or_default());
                let from = event.address.as_deref().unwrap_or("an unknown address");
                ("You signed in.".to_owned(), Some(format!("{browser}, from {from}")), false)
            }
            "sessions.ended" => ("You signed a browser out.".to_owned(), None, false),
            "grant.given" => (format!("You gave {client} access."), None, false),
            "client.disconnected" => (format!("You disconnected {client}."), None, false),
            "user.password_set" => ("The password was changed by the operator.".to_owned(), None, true),
            "user.enabled" => ("The account was enabled again.".to_owned(), None, false),
            _ => (
                format!("{client} was disconnected: somebody used an old credential of it."),
                Some("If you did not notice anything odd, it was probably a fault of the app.".to_owned()),
                true,
            ),
        };
        described.push(SecurityEvent { sentence, detail, at: Moment { at: event.at, now }, alarming });
    }
    Ok(described)
}
