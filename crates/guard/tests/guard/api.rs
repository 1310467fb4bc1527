//! The API under test, and what it answered.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    routing::{any, get},
};
use doorward_core::{clock::ManualClock, event::RefusalEvent, legacy::LegacyUse, random::SeededRng};
use doorward_guard::{
    AuditSink, Guard, GuardBuilder, GuardError, Principal, ResourceIdentifier,
    builder::{Remote, WithCredential, WithoutCredential},
    scope,
};
use http::HeaderMap;
use reqwest::{Method, redirect};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::fake_issuer::{API, CLIENT_ID, CLIENT_SECRET, FakeIssuer, NOW};

/// Keeps refusals to be looked at.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<RefusalEvent>>>, Arc<Mutex<Vec<LegacyUse>>>);

impl Recorder {
    pub(crate) fn events(&self) -> Vec<RefusalEvent> {
        self.0.lock().unwrap().clone()
    }

    /// The uses of legacy ways.
    pub(crate) fn uses(&self) -> Vec<LegacyUse> {
        self.1.lock().unwrap().clone()
    }

    /// The operator's code of the last refusal.
    pub(crate) fn last_code(&self) -> String {
        self.events().last().expect("something was refused").code.clone()
    }
}

impl AuditSink for Recorder {
    fn refused(&self, event: RefusalEvent) {
        self.0.lock().unwrap().push(event);
    }

    fn legacy_used(&self, used: LegacyUse) {
        self.1.lock().unwrap().push(used);
    }
}

/// An axum service on an ephemeral port.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) audit: Recorder,
    server: JoinHandle<()>,
}

/// An answer, with its body as JSON if it is that.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A guard of the API that trusts `issuer`, with a clock to be moved.
pub(crate) fn builder(issuer: &FakeIssuer, clock: &Arc<ManualClock>) -> GuardBuilder<Remote<WithCredential>> {
    builder_without_credential(issuer, clock).credential(CLIENT_ID, CLIENT_SECRET)
}

fn builder_without_credential(
    issuer: &FakeIssuer,
    clock: &Arc<ManualClock>,
) -> GuardBuilder<Remote<WithoutCredential>> {
    Guard::builder(&issuer.url, ResourceIdentifier::parse(API).unwrap())
        .clock(clock.clone())
        .rng(Arc::new(SeededRng::new(1)))
}

impl Api {
    /// `/notes` needs `notes:read`, `/notes/{id}` needs `notes:write` and `admin`, all else any principal.
    pub(crate) async fn start(issuer: &FakeIssuer) -> Self {
        Self::start_with(issuer, |builder| builder.credential(CLIENT_ID, CLIENT_SECRET).build()).await
    }

    pub(crate) async fn start_with(
        issuer: &FakeIssuer,
        build: impl FnOnce(GuardBuilder<Remote<WithoutCredential>>) -> Result<Guard, GuardError>,
    ) -> Self {
        let (clock, audit) = (Arc::new(ManualClock::at(NOW)), Recorder::default());
        let guard = build(builder_without_credential(issuer, &clock).audit(audit.clone())).unwrap();
        let who = async |who: Principal| who.subject.clone();
        let app = Router::new()
            .route("/notes", get(who).post(who).layer(guard.require(scope("notes:read"))))
            .route("/notes/{id}", any(who).layer(guard.require(scope("notes:write").and_role("admin"))))
            .layer(guard.layer());
        let mut api = Self::serve(app).await;
        (api.clock, api.audit) = (clock, audit);
        api
    }

    pub(crate) async fn serve(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, clock: Arc::new(ManualClock::at(NOW)), audit: Recorder::default(), server }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// `GET` with a bearer token or key.
    pub(crate) async fn get(&self, path: &str, credential: &str) -> Answer {
        let bearer = format!("Bearer {credential}");
        self.send(Method::GET, path, &[("authorization", &bearer)]).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        let mut request = client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}
