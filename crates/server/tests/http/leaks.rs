//! `POST /v1/leaks`: somebody hands in a key, and learns nothing.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_core::{api_key::ApiKey, random::SeededRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{harness::*, manage::manager::Manager};

const SOURCE: &str = "https://github.example/acme/app/blob/main/.env";

pub(crate) async fn report(caller: &Caller, body: Value) -> Answer {
    caller.send(caller.request(Method::POST, "/v1/leaks").json(&body)).await
}

/// A key of the API `notes`: its path and its secret.
async fn new_key(manager: &Manager<'_>) -> (String, String) {
    let body = json!({"api": "notes", "name": "ci", "scopes": ["notes:read"], "expires_in": 86_400});
    let created = manager.post("/v1/keys", body).await.expect(201);
    (format!("/v1/keys/{}", created.text("id")), created.text("secret"))
}

async fn code(manager: &Manager<'_>, key: &str) -> Value {
    manager.post("/v1/keys/verify", json!({"key": key})).await.expect(200).json()["code"].clone()
}

pub(crate) async fn set_policy(manager: &Manager<'_>, policy: &str) {
    let apis = manager.get("/v1/apis").await.expect(200).json();
    let notes = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap();
    let path = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
    manager.patch(&path, json!({"leak_policy": policy})).await.expect(200);
}

/// The details of each `key.leaked` event.
async fn events(server: &TestServer) -> Vec<Value> {
    let events = server.audit("events", |events| !events.is_empty()).await;
    let leaked = events.iter().filter(|event| event.action == "key.leaked");
    leaked.map(|event| json!([event.details, event.actor, event.address])).collect()
}

#[tokio::test]
async fn reported_key_is_revoked_once() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (path, key) = new_key(&manager).await;
        assert_eq!(code(&manager, &key).await, "valid");
        assert_eq!(manager.get(&path).await.json()["leaked_at"], Value::Null);

        let answer = report(&server.caller, json!({"key": format!(" {key}\n"), "source": SOURCE})).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""));
        assert_eq!(code(&manager, &key).await, "key_revoked");
        // Uses are written when their time comes, and the key is compared as a whole below.
        server.app.flush_uses().await.unwrap();
        let shown = manager.get(&path).await.expect(200).json();
        assert_eq!((&shown["state"], &shown["leak_source"]), (&json!("revoked"), &json!(SOURCE)));
        assert_eq!(shown["leaked_at"], shown["revoked_at"]);

        server.advance_secs(60);
        report(&server.caller, json!({"key": key, "source": "elsewhere"})).await.expect(202);
        assert_eq!(manager.get(&path).await.json(), shown, "the first report stays");
        let details = json!({"outcome": "revoked", "source": SOURCE});
        assert_eq!(events(server).await, [json!([details, null, "127.0.0.1"])]);
    })
    .await;
}

#[tokio::test]
async fn policy_of_the_api_decides_what_becomes_of_the_key() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        set_policy(&manager, "flag").await;
        let (path, key) = new_key(&manager).await;
        report(&server.caller, json!({"key": key})).await.expect(202);
        let shown = manager.get(&path).await.json();
        assert_eq!((&shown["state"], &shown["leak_source"]), (&json!("active"), &Value::Null));
        assert!(shown["leaked_at"].is_string());
        assert_eq!(code(&manager, &key).await, "valid");

        set_policy(&manager, "revoke").await;
        report(&server.caller, json!({"key": key, "source": SOURCE})).await.expect(202);
        assert_eq!(code(&manager, &key).await, "key_revoked");
        let (path, revoked) = new_key(&manager).await;
        manager.act(&format!("{path}/revoke")).await.expect(200);
        report(&server.caller, json!({"key": revoked})).await.expect(202);
        let outcomes: Vec<_> = events(server).await.iter().map(|event| event[0]["outcome"].clone()).collect();
        assert_eq!(outcomes, ["flagged", "revoked", "revoked before"]);
    })
    .await;
}

#[tokio::test]
async fn answer_is_the_same_for_every_key() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (_, known) = new_key(&manager).await;
    let unknown = ApiKey::generate(&Default::default(), Default::default(), &SeededRng::new(99)).reveal().to_owned();
    let mistyped = format!("{}x", &unknown[..unknown.len() - 1]);
    let shown = |answer: &Answer| {
        let varies = ["date", "doorward-trace-id"];
        let headers = answer.headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
        let mut headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.sort();
        (answer.status, headers, answer.body.clone())
    };
    let first = report(&server.caller, json!({"key": known})).await;
    for key in [known.as_str(), &unknown, &mistyped, "no key", ""] {
        assert_eq!(shown(&report(&server.caller, json!({"key": key})).await), shown(&first), "{key}");
    }
    assert_eq!(events(&server).await.len(), 1, "the unknown ones are not in the audit");
}

#[tokio::test]
async fn source_is_kept_as_a_short_line_without_credentials() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (path, key) = new_key(&manager).await;
    let source = format!("log\n\u{1b}[2J of {key} {}", "x".repeat(500));
    report(&server.caller, json!({"key": key, "source": source})).await.expect(202);
    let kept = manager.get(&path).await.json()["leak_source"].as_str().unwrap().to_owned();
    assert!(kept.starts_with("log[2J of [credential] xxx") && kept.chars().count() == 256, "{kept}");
}

#[tokio::test]
async fn many_reports_from_one_address_have_to_wait() {
    let server = TestServer::start_with(|settings| settings.throttle.free_leak_reports_per_address = 2).await;
    let manager = Manager::of_all(&server).await;
    let (path, key) = new_key(&manager).await;
    let unknown = ApiKey::generate(&Default::default(), Default::default(), &SeededRng::new(99)).reveal().to_owned();
    for _ in 0..2 {
        report(&server.caller, json!({"key": unknown})).await.expect(202);
    }
    for key in [&key, &unknown] {
        let answer = report(&server.caller, json!({"key": key})).await;
        assert_eq!(answer.problem(), (429, "leak_reports_throttled".into()));
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    assert_eq!(manager.get(&path).await.json()["leaked_at"], Value::Null);
    report(&server.caller_from([127, 0, 0, 2]), json!({"key": unknown})).await.expect(202);
    server.advance_secs(2);
    report(&server.caller, json!({"key": key})).await.expect(202);
    assert_eq!(code(&manager, &key).await, "key_revoked");
}

#[tokio::test]
async fn malformed_report_is_refused_with_its_mistakes() {
    let server = TestServer::start().await;
    for (body, pointer) in [
        (json!({}), "/key"),
        (json!({"key": 1}), "/key"),
        (json!({"key": "x", "source": {}}), "/source"),
        (json!({"key": "x", "id": "y"}), "/id"),
    ] {
        let answer = report(&server.caller, body).await;
        assert_eq!(answer.problem(), (422, "body_invalid".into()));
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
    let large = json!({"key": "x", "source": "x".repeat(1 << 20)});
    assert_eq!(report(&server.caller, large).await.problem(), (413, "body_too_large".into()));
}

/// GitHub, with a key pair of its own, whose public key it publishes.
struct Github {
    pair: EcdsaKeyPair,
    url: String,
    asked: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Github {
    async fn start() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der = STANDARD.encode(pair.public_key().as_der().unwrap().as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        let document = json!({"public_keys": [{"key_identifier": "one", "key": pem, "is_current": true}]}).to_string();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let asked = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let counted = asked.clone();
        let answer = move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::future::ready(document.clone())
        };
        let router = axum::Router::new().route("/keys", axum::routing::get(answer));
        let serve = doorward_listen::Serve { router, ..doorward_listen::Serve::default() };
        tokio::spawn(doorward_listen::serve(vec![listener], serve, std::future::pending()));
        Self { pair, url, asked }
    }

    fn sign(&self, body: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "ignored by aws-lc-rs, which uses its own")]
        let ignored = SystemRandom::new();
        STANDARD.encode(self.pair.sign(&ignored, body.as_bytes()).unwrap())
    }
}

async fn send_signed(server: &TestServer, identifier: &str, signature: &str, body: &str) -> Answer {
    let request = server.caller.request(Method::POST, "/v1/leaks/github").header("content-type", "application/json");
    let request = request.header("github-public-key-identifier", identifier);
    server.caller.send(request.header("github-public-key-signature", signature).body(body.to_owned())).await
}

#[tokio::test]
async fn keys_that_github_found_are_revoked_if_github_signed() {
    let github = Github::start().await;
    let url = github.url.clone();
    let server = TestServer::start_with(|settings| settings.leaks.github_keys_url = Some(url)).await;
    let manager = Manager::of_all(&server).await;
    let (path, key) = new_key(&manager).await;
    let body = json!([{"token": "nothing", "type": "doorward", "url": "", "source": "commit"},
        {"token": key, "type": "doorward", "url": SOURCE, "source": "commit"}])
    .to_string();
    let signature = github.sign(&body);
    for (identifier, signature, body) in [
        ("one", "", &*body),
        ("one", &*github.sign("[]"), &*body),
        ("one", &*signature, &*body.replace("nothing", "something")),
        ("two", &*signature, &*body),
        ("", &*signature, &*body),
    ] {
        let answer = send_signed(&server, identifier, signature, body).await;
        assert_eq!(answer.problem(), (401, "partner_signature_invalid".into()), "{identifier}");
    }
    assert_eq!(code(&manager, &key).await, "valid");
    let answer = send_signed(&server, "one", &signature, &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    assert_eq!(code(&manager, &key).await, "key_revoked");
    assert_eq!(manager.get(&path).await.json()["leak_source"], SOURCE);
    let asked = || github.asked.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(asked(), 1, "who names unknown keys causes no requests");
    server.advance_secs(60);
    send_signed(&server, "two", &signature, &body).await;
    assert_eq!(asked(), 2, "GitHub may have a new key");
}

#[tokio::test]
async fn github_is_not_believed_unless_the_operator_says_so() {
    let (github, server) = (Github::start().await, TestServer::start().await);
    let answer = send_signed(&server, "one", &github.sign("[]"), "[]").await;
    assert_eq!(answer.problem(), (401, "partner_signature_invalid".into()));
    let gone =
        TestServer::start_with(|settings| settings.leaks.github_keys_url = Some("http://127.0.0.1:9/keys".into()));
    let answer = send_signed(&gone.await, "one", &github.sign("[]"), "[]").await;
    assert_eq!(answer.problem(), (503, "unavailable".into()));
}
