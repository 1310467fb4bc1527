//! The sample app against an issuer whose answers each test chooses.
#![expect(clippy::unwrap_used, reason = "the helpers of the tests are outside of test functions")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::pkce::CodeChallenge;
use doorward_guard::testing::TestIssuer;
use doorward_notes::{SampleApp, router};
use reqwest::{Client, Response, redirect};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

type Query = HashMap<String, String>;

/// What the issuer does with a redemption: sees the form, gives status and body.
type Redeem = Arc<Mutex<Box<dyn Fn(&Query) -> (u16, Value) + Send>>>;

struct Scene {
    app: String,
    issuer: String,
    redeem: Redeem,
    tokens: TestIssuer,
    http: Client,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Scene {
    async fn start() -> Self {
        let ((issuer_listener, issuer), (app_listener, app)) = (listen().await, listen().await);
        let metadata = json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "userinfo_endpoint": format!("{issuer}/userinfo")});
        let redeem: Redeem = Arc::new(Mutex::new(Box::new(|_| (500, json!({"error": "server_error"})))));
        let current = redeem.clone();
        let token = async move |Form(form): Form<Query>| {
            let (status, body) = current.lock().unwrap()(&form);
            (StatusCode::from_u16(status).unwrap(), Json(body))
        };
        let issuer_routes = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(metadata)))
            .route("/userinfo", get(async || Json(json!({"sub": "usr_1", "name": "Alice"}))))
            .route("/token", post(token));
        tokio::spawn(async move { axum::serve(issuer_listener, issuer_routes).await.unwrap() });

        let tokens = TestIssuer::new("http://localhost:8401");
        let sample = SampleApp::new(&issuer, "cli_app", &format!("{app}/callback")).unwrap();
        let service = router(&tokens.guard(), sample);
        tokio::spawn(async move { axum::serve(app_listener, service).await.unwrap() });
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { app, issuer, redeem, tokens, http }
    }

    async fn get(&self, path: &str, cookie: &str) -> Response {
        self.http.get(format!("{}{path}", self.app)).header("cookie", cookie).send().await.unwrap()
    }

    /// Follows the link of the first page: the request to the issuer, and the browser's cookie.
    async fn begin(&self) -> (Query, String) {
        let response = self.get("/sign-in", "").await;
        assert_eq!(response.status(), 303);
        let location = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
        assert_eq!(location.as_str().split('?').next().unwrap(), format!("{}/authorize", self.issuer));
        (location.query_pairs().into_owned().collect(), cookies(&response))
    }

    async fn come_back(&self, answer: &[(&str, &str)], cookie: &str) -> (u16, String) {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
        let response = self.get(&format!("/callback?{query}"), cookie).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Makes the issuer give tokens for the code `good` of this request.
    fn give_tokens(&self, request: &Query, nonce: &str) {
        let claims = json!({"iss": self.issuer, "aud": "cli_app", "sub": "usr_1", "nonce": nonce});
        let id_token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let access_token = self.tokens.token("notes:read");
        let challenge = CodeChallenge::parse(&request["code_challenge"]).unwrap();
        let redirect_uri = request["redirect_uri"].clone();
        *self.redeem.lock().unwrap() = Box::new(move |form| {
            assert_eq!(form["grant_type"], "authorization_code");
            assert_eq!((&form["client_id"], &form["redirect_uri"]), (&"cli_app".to_owned(), &redirect_uri));
            match form["code"] == "good" && challenge.is_met_by(&form["code_verifier"]) {
                true => (
                    200,
                    json!({"access_token": access_token, "token_type": "Bearer", "id_token": id_token,
                    "refresh_token": "dw_rt_canary"}),
                ),
                false => (400, json!({"error": "invalid_grant", "error_description": "The code has expired."})),
            }
        });
    }
}

fn cookies(response: &Response) -> String {
    let all = response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    all.filter(|set| !set.contains("Max-Age=0")).filter_map(|set| set.split(';').next()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn the_request_carries_pkce_state_and_nonce_fresh_each_time() {
    let scene = Scene::start().await;
    let ((first, cookie), (second, _)) = (scene.begin().await, scene.begin().await);
    assert_eq!(first["response_type"], "code");
    assert_eq!(first["code_challenge_method"], "S256");
    assert_eq!(first["redirect_uri"], format!("{}/callback", scene.app));
    assert!(first["scope"].split(' ').any(|scope| scope == "notes:read"));
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(first[name], second[name], "{name}");
        assert_eq!(first[name].len(), 43, "{name}");
    }
    assert!(!cookie.contains(&first["code_challenge"]));
}

#[tokio::test]
async fn the_code_is_redeemed_before_the_page_is_shown() {
    let scene = Scene::start().await;
    let (request, cookie) = scene.begin().await;
    scene.give_tokens(&request, &request["nonce"]);
    let query = format!("/callback?code=good&state={}&iss={}", request["state"], scene.issuer);
    let back = scene.get(&query, &cookie).await;
    assert_eq!((back.status().as_u16(), &back.headers()["location"]), (303, &"/call".parse().unwrap()));
    let session = cookies(&back);

    // A reload of the page calls the API again, and sends no code.
    *scene.redeem.lock().unwrap() = Box::new(|_| panic!("the code was redeemed again"));
    for _ in 0..2 {
        let response = scene.get("/call", &session).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        let page = response.text().await.unwrap();
        assert!(page.contains("Signed in as Alice"), "{page}");
        assert!(page.contains(r#"<strong id="status">200</strong>"#), "{page}");
        assert!(page.contains("usr_test"), "the claims of the access token are shown: {page}");
        assert!(!page.contains("dw_rt_canary"));
    }
}

#[tokio::test]
async fn without_a_session_the_page_leads_to_the_start() {
    let scene = Scene::start().await;
    let port = Url::parse(&scene.app).unwrap().port().unwrap();
    for cookie in [String::new(), format!("notes_session_{port}=guessed")] {
        let response = scene.get("/call", &cookie).await;
        assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &"/".parse().unwrap()));
    }
}

#[tokio::test]
async fn an_answer_that_is_wrong_gives_no_session() {
    let scene = Scene::start().await;
    let (request, cookie) = scene.begin().await;
    scene.give_tokens(&request, &request["nonce"]);
    let (state, iss) = (request["state"].as_str(), scene.issuer.as_str());
    let good = [("code", "good"), ("state", state), ("iss", iss)];
    let (_, other_browser) = scene.begin().await;
    for (answer, cookie, expected) in [
        (good.to_vec(), "", "no request of this browser"),
        (good.to_vec(), other_browser.as_str(), "no request of this browser"),
        (vec![("code", "good"), ("iss", iss)], &cookie, "no request of this browser"),
        (vec![("code", "good"), ("state", state)], &cookie, "not from the issuer"),
        (vec![("code", "good"), ("state", state), ("iss", "http://localhost:1")], &cookie, "not from the issuer"),
        (vec![("state", state), ("iss", iss)], &cookie, "has no code"),
        (vec![("code", "bad"), ("state", state), ("iss", iss)], &cookie, "The code has expired."),
        (vec![("error", "access_denied"), ("state", state), ("iss", iss)], &cookie, "You did not let Notes in"),
    ] {
        let (status, page) = scene.come_back(&answer, cookie).await;
        assert_eq!(status, 400, "{answer:?}");
        assert!(page.contains(expected), "{answer:?}: {page}");
    }
    scene.give_tokens(&request, "another nonce");
    let (status, page) = scene.come_back(&good, &cookie).await;
    assert!(status == 400 && page.contains("not for this request"), "{page}");
}

#[tokio::test]
async fn the_first_page_leads_to_the_issuer() {
    let scene = Scene::start().await;
    let page = scene.get("/", "").await.text().await.unwrap();
    assert!(page.contains(r#"href="/sign-in""#), "{page}");
    let style = scene.get("/app.css", "").await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}
