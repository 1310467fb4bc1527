//! Live API keys that come from a browser or an app.

use std::sync::Arc;

use axum::{Router, extract::Request, middleware, response::Response, routing::get};
use doorward_core::{clock::ManualClock, denial::Denial};
use doorward_guard::{Guard, GuardError, Principal, scope};
use http::{HeaderValue, StatusCode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::{Answer, Api, Recorder, builder},
    fake_issuer::{API, CLIENT_ID, CLIENT_SECRET, FakeIssuer, NOW},
};

const ORIGIN: (&str, &str) = ("origin", "https://app.example");
const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0");
const APP: (&str, &str) = ("user-agent", "okhttp/4.12.0");

async fn send(api: &Api, credential: &str, header: (&str, &str)) -> Answer {
    let bearer = format!("Bearer {credential}");
    api.send(Method::GET, "/notes", &[("authorization", &bearer), header]).await
}

#[tokio::test]
async fn live_key_from_a_browser_or_an_app_is_refused() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.live_key("notes:read");
    assert_eq!(api.get("/notes", &key).await.status, 200);
    for header in [ORIGIN, BROWSER, APP, ("origin", "null")] {
        let answer = send(&api, &key, header).await;
        assert_eq!((answer.status, answer.code()), (403, "key_in_browser"), "{header:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("backend"), "it names the way out");
        assert_eq!(answer.header("www-authenticate"), None);
        let event = api.audit.events().pop().unwrap();
        assert_eq!(event.principal.as_deref(), Some("key_1"), "the operator learns which key to rotate");
        assert!(event.facts.contains(&(header.0.replace('-', "_"), header.1.to_owned())), "{:?}", event.facts);
    }
    assert_eq!(send(&api, &key, ("user-agent", "curl/8.11.0")).await.status, 200);
}

#[tokio::test]
async fn key_that_is_not_valid_keeps_its_own_reason_in_a_browser() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.live_key("notes:read");
    issuer.answer(&key, serde_json::json!({"valid": false, "code": "key_revoked"}));
    assert_eq!(send(&api, &key, ORIGIN).await.code(), "key_revoked");
}

#[tokio::test]
async fn tokens_and_test_keys_may_come_from_browsers() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    for credential in [issuer.api_key("notes:read", &[]), issuer.jwt("notes:read"), issuer.opaque("notes:read")] {
        for header in [ORIGIN, BROWSER, APP] {
            assert_eq!(send(&api, &credential, header).await.status, 200, "{header:?}");
        }
    }
}

#[tokio::test]
async fn publishable_key_may_come_from_the_page_of_its_origin() {
    let issuer = FakeIssuer::start().await;
    issuer.takes(&["address", "key", "origin", "scopes"]);
    let api = Api::start(&issuer).await;
    let key = issuer.live_key("notes:read");
    let principal = json!({"kind": "key", "sub": "key_1", "credential": "publishable_key", "audience": API,
        "scope": "notes:read"});
    issuer.answer(&key, json!({"valid": true, "reusable": false, "principal": principal}));
    assert_eq!(send(&api, &key, ORIGIN).await.status, 200);
    assert_eq!(issuer.last_question()["origin"], ORIGIN.1);
    issuer.answer(&key, json!({"valid": false, "code": "key_origin_not_allowed", "reusable": false}));
    let refused = send(&api, &key, ("origin", "https://other.example")).await;
    assert_eq!((refused.status, refused.code()), (403, "key_origin_not_allowed"));
    assert_eq!(refused.header("www-authenticate"), None);
    assert_eq!(issuer.last_question()["origin"], "https://other.example");
}

#[tokio::test]
async fn older_issuer_is_not_asked_about_origins() {
    let issuer = FakeIssuer::start().await;
    issuer.takes(&["address", "key", "scopes"]);
    let api = Api::start(&issuer).await;
    assert_eq!(send(&api, &issuer.api_key("notes:read", &[]), ORIGIN).await.status, 200);
    assert_eq!(issuer.last_question()["origin"], Value::Null);
}

/// `/notes` on routes that accept live keys from browsers as `build` and `allows` say.
async fn serve(guard: &Guard, outer_allows: bool, inner_allows: bool) -> Api {
    let who = async |who: Principal| who.subject.clone();
    let allow = |layer: doorward_guard::GuardLayer, allows| match allows {
        true => layer.allow_keys_in_browsers("as this test wants it"),
        false => layer,
    };
    let route = get(who).layer(allow(guard.require(scope("notes:read")), inner_allows));
    Api::serve(Router::new().route("/notes", route).layer(allow(guard.layer(), outer_allows))).await
}

#[tokio::test]
async fn guard_or_route_allows_keys_in_browsers_by_name() {
    let issuer = FakeIssuer::start().await;
    let key = issuer.live_key("notes:read");
    let builder = || builder(&issuer, &Arc::new(ManualClock::at(NOW))).audit(Recorder::default());
    let guard = builder().build().unwrap();
    for (outer, inner, status) in [(false, false, 403), (true, true, 200), (true, false, 403), (false, true, 403)] {
        let api = serve(&guard, outer, inner).await;
        assert_eq!(send(&api, &key, ORIGIN).await.status, status, "{outer} {inner}");
    }
    let guard = builder().allow_keys_in_browsers("as this test wants it").build().unwrap();
    let api = serve(&guard, false, false).await;
    assert_eq!(send(&api, &key, ORIGIN).await.status, 200);
    let refused = builder().allow_keys_in_browsers(" ").build();
    assert!(matches!(refused, Err(GuardError::ReasonMissing)));
}

#[tokio::test]
#[should_panic(expected = "a route says why")]
async fn route_without_a_reason_panics_when_it_is_built() {
    let issuer = FakeIssuer::start().await;
    let guard = builder(&issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap();
    drop(guard.layer().allow_keys_in_browsers(""));
}

#[tokio::test]
async fn preflight_passes_and_the_refusal_is_readable_behind_cors() {
    let issuer = FakeIssuer::start().await;
    let guard =
        Guard::builder(&issuer.url, doorward_guard::ResourceIdentifier::parse(crate::fake_issuer::API).unwrap())
            .clock(Arc::new(ManualClock::at(NOW)))
            .credential(CLIENT_ID, CLIENT_SECRET)
            .build()
            .unwrap();
    let app = Router::new().route("/notes", get(async || "notes").layer(guard.layer()));
    let api = Api::serve(app.layer(middleware::from_fn(cors))).await;
    let asks = [ORIGIN, ("access-control-request-method", "GET"), ("access-control-request-headers", "x-api-key")];
    let preflight = api.send(Method::OPTIONS, "/notes", &[asks[0], asks[1], asks[2], BROWSER]).await;
    assert_eq!(preflight.status, 204);
    let answer = send(&api, &issuer.live_key("notes:read"), ORIGIN).await;
    assert_eq!(
        (answer.code(), answer.header("access-control-allow-origin")),
        (Denial::KeyInBrowser.code(), Some(ORIGIN.1))
    );
}

/// The API's own layer, outside of the guard.
async fn cors(request: Request, next: middleware::Next) -> Response {
    let mut response = match request.method() == Method::OPTIONS {
        true => Response::builder().status(StatusCode::NO_CONTENT).body("".into()).unwrap(),
        false => next.run(request).await,
    };
    response.headers_mut().insert("access-control-allow-origin", HeaderValue::from_static(ORIGIN.1));
    response
}
