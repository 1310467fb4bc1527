//! An issuer on an ephemeral port that gives preset answers, and counts the requests.

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Form, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use doorward_core::{
    api_key::{ApiKey, Environment, KeyPrefix},
    checksummed::{self, ACCESS_TOKEN_PREFIX},
    clock::Timestamp,
    jwk::{Algorithm, SigningKey},
    jws,
    random::SeededRng,
    secret::ExposeSecret,
};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) const API: &str = "http://localhost:8401";
pub(crate) const CLIENT_ID: &str = "cli_api";
pub(crate) const CLIENT_SECRET: &str = "dw_cs_canary-of-the-api";
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const JWKS: &str = "/jwks";
pub(crate) const VERIFY: &str = "/v1/keys/verify";
pub(crate) const INTROSPECT: &str = "/introspect";
pub(crate) const REFUSALS: &str = "/v1/audit/refusals";

/// How a path answers instead of as it should.
#[derive(Clone)]
pub(crate) enum Misbehaviour {
    Body(String),
    Never,
    Redirect(String),
    Status(u16),
}

pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    address: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

type Shared = Arc<Mutex<Inner>>;

#[derive(Default)]
struct Inner {
    url: String,
    keys: Vec<Arc<SigningKey>>,
    answers: HashMap<String, Value>,
    asked: HashMap<String, usize>,
    /// The headers of the last request to each path.
    headers: HashMap<String, HeaderMap>,
    misbehaviour: HashMap<String, Misbehaviour>,
    refusals: Vec<Value>,
    /// The last question about a key.
    question: Value,
    /// The members of such a question that it says it takes.
    members: Vec<String>,
    minted: u64,
    /// Every connection so far, to close it.
    connections: Vec<std::net::TcpStream>,
}

impl FakeIssuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let shared = Shared::default();
        lock(&shared).url = url.clone();
        lock(&shared).keys = vec![key("k1", 1)];
        Self { url, address, server: serve(listener, &shared), shared }
    }

    /// Where it is reached, if not at its own address.
    pub(crate) fn is_reached_at(&mut self, url: &str) {
        self.url = url.to_owned();
        lock(&self.shared).url = url.to_owned();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.shared).connections.len()
    }

    /// Closes its port and its connections; nothing answers there any more.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
        for connection in &lock(&self.shared).connections {
            // One that is closed already is no harm.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(crate) async fn start_again(&mut self) {
        self.server = serve(TcpListener::bind(self.address).await.unwrap(), &self.shared);
    }

    pub(crate) fn asked(&self, path: &str) -> usize {
        lock(&self.shared).asked.get(path).copied().unwrap_or(0)
    }

    /// A header of the last request to a path.
    pub(crate) fn asked_with(&self, path: &str, header: &str) -> Option<String> {
        let value = lock(&self.shared).headers.get(path)?.get(header)?.to_str().map(str::to_owned);
        value.ok()
    }

    pub(crate) fn misbehave(&self, path: &str, how: Misbehaviour) {
        lock(&self.shared).misbehaviour.insert(path.into(), how);
    }

    pub(crate) fn behave(&self) {
        lock(&self.shared).misbehaviour.clear();
    }

    /// Replaces the published keys by one.
    pub(crate) fn rotate_to(&self, kid: &str, seed: u64) {
        lock(&self.shared).keys = vec![key(kid, seed)];
    }

    pub(crate) fn claims(&self, scopes: &str) -> Value {
        let mut inner = lock(&self.shared);
        inner.minted += 1;
        json!({"iss": inner.url, "sub": "usr_1", "aud": API, "client_id": "cli_app", "scope": scopes,
            "jti": format!("tok_{}", inner.minted), "iat": NOW.as_secs(), "exp": NOW.as_secs() + 300})
    }

    /// An access token under the newest key.
    pub(crate) fn jwt(&self, scopes: &str) -> String {
        self.sign("at+jwt", &self.claims(scopes))
    }

    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        let key = lock(&self.shared).keys[0].clone();
        jws::sign(&key, typ, claims.to_string().as_bytes()).unwrap()
    }

    /// A well-formed key about which the issuer says nothing yet.
    pub(crate) fn unknown_key(&self) -> String {
        self.new_key(Environment::Test)
    }

    fn new_key(&self, environment: Environment) -> String {
        let mut inner = lock(&self.shared);
        inner.minted += 1;
        let rng = SeededRng::new(1_000 + inner.minted);
        ApiKey::generate(&KeyPrefix::default(), environment, &rng).reveal().to_owned()
    }

    pub(crate) fn api_key(&self, scopes: &str, roles: &[&str]) -> String {
        self.known_key(self.unknown_key(), scopes, roles)
    }

    pub(crate) fn live_key(&self, scopes: &str) -> String {
        self.known_key(self.new_key(Environment::Live), scopes, &[])
    }

    fn known_key(&self, key: String, scopes: &str, roles: &[&str]) -> String {
        let principal = json!({"kind": "key", "sub": "key_1", "credential": "api_key", "audience": API,
            "scope": scopes, "roles": roles});
        self.answer(&key, json!({"valid": true, "principal": principal}));
        key
    }

    pub(crate) fn opaque(&self, scopes: &str) -> String {
        let seed = lock(&self.shared).minted + 5_000;
        let token = checksummed::generate(ACCESS_TOKEN_PREFIX, &SeededRng::new(seed)).expose_secret().to_owned();
        let mut answer = self.claims(scopes);
        answer["active"] = true.into();
        self.answer(&token, answer);
        token
    }

    /// What it says from now on about a key or an opaque token.
    pub(crate) fn answer(&self, credential: &str, answer: Value) {
        lock(&self.shared).answers.insert(credential.into(), answer);
    }

    /// Its metadata says from now on that a question about a key may have these members.
    pub(crate) fn takes(&self, members: &[&str]) {
        lock(&self.shared).members = members.iter().map(|member| (*member).to_owned()).collect();
    }

    /// The last question about a key.
    pub(crate) fn last_question(&self) -> Value {
        lock(&self.shared).question.clone()
    }

    /// The refusals that were delivered, in order.
    pub(crate) fn refusals(&self) -> Vec<Value> {
        lock(&self.shared).refusals.clone()
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn key(kid: &str, seed: u64) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(kid.into(), Algorithm::EdDSA, &SeededRng::new(seed)).unwrap())
}

fn serve(listener: TcpListener, shared: &Shared) -> JoinHandle<()> {
    let app = Router::new()
        .route(METADATA, get(metadata))
        .route(JWKS, get(jwks))
        .route(VERIFY, post(verify))
        .route(INTROSPECT, post(introspect))
        .route(REFUSALS, post(refusals))
        .layer(from_fn_with_state(shared.clone(), misbehave))
        .with_state(shared.clone());
    let listener = Kept(listener, shared.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
}

struct Kept(TcpListener, Shared);

impl axum::serve::Listener for Kept {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, peer) = axum::serve::Listener::accept(&mut self.0).await;
        let stream = stream.into_std().unwrap();
        lock(&self.1).connections.push(stream.try_clone().unwrap());
        (TcpStream::from_std(stream).unwrap(), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

async fn misbehave(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let how = {
        let mut inner = lock(&shared);
        *inner.asked.entry(path.clone()).or_default() += 1;
        inner.headers.insert(path.clone(), request.headers().clone());
        inner.misbehaviour.get(&path).cloned()
    };
    match how {
        Some(Misbehaviour::Body(body)) => body.into_response(),
        Some(Misbehaviour::Never) => std::future::pending().await,
        Some(Misbehaviour::Redirect(to)) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Some(Misbehaviour::Status(status)) => (StatusCode::from_u16(status).unwrap(), "{}").into_response(),
        None if needs_credential(&path) && !has_credential(&request) => StatusCode::UNAUTHORIZED.into_response(),
        None => next.run(request).await,
    }
}

fn needs_credential(path: &str) -> bool {
    matches!(path, VERIFY | INTROSPECT | REFUSALS)
}

fn has_credential(request: &Request<Body>) -> bool {
    let expected = reqwest::Client::new().get("http://localhost").basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
    let expected = expected.build().unwrap().headers()["authorization"].clone();
    request.headers().get("authorization") == Some(&expected)
}

async fn metadata(State(shared): State<Shared>) -> Json<Value> {
    let inner = lock(&shared);
    let (url, members) = (&inner.url, &inner.members);
    let mut metadata = json!({
        "issuer": url,
        "jwks_uri": format!("{url}{JWKS}"),
        "introspection_endpoint": format!("{url}{INTROSPECT}"),
    });
    if !members.is_empty() {
        metadata["doorward_key_verification_members_supported"] = json!(members);
    }
    Json(metadata)
}

async fn jwks(State(shared): State<Shared>) -> Json<Value> {
    let keys: Vec<_> = lock(&shared).keys.iter().map(|key| key.public_jwk()).collect();
    Json(json!({"keys": keys}))
}

async fn verify(State(shared): State<Shared>, Json(question): Json<Value>) -> Json<Value> {
    let mut inner = lock(&shared);
    let key = question["key"].as_str().unwrap().to_owned();
    inner.question = question;
    Json(inner.answers.get(&key).cloned().unwrap_or_else(|| json!({"valid": false, "code": "key_unknown"})))
}

async fn introspect(State(shared): State<Shared>, Form(form): Form<HashMap<String, String>>) -> Json<Value> {
    Json(lock(&shared).answers.get(&form["token"]).cloned().unwrap_or_else(|| json!({"active": false})))
}

async fn refusals(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    let Ok(Value::Array(events)) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    lock(&shared).refusals.extend(events);
    StatusCode::ACCEPTED
}

fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.lock().unwrap()
}

/// Long enough that every pause of the guard is over, and short enough that no token is.
pub(crate) const LATER: Duration = Duration::from_secs(11);
