//! Other origins (Fetch Standard): `*` on documents, and the origin by name where programs send tokens; on errors too;
//! nothing elsewhere.

use reqwest::Method;

use crate::harness::*;

const OPEN: &[(&str, &str)] = &[
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/oauth-protected-resource/v1"),
    // Programs look for documents that there are none of.
    ("GET", "/.well-known/oauth-authorization-server/tenant"),
    ("GET", "/jwks"),
    ("POST", "/token"),
    ("POST", "/revoke"),
    ("GET", "/userinfo"),
    ("POST", "/userinfo"),
];

const CLOSED: &[(&str, &str)] = &[
    ("GET", "/authorize"),
    ("POST", "/authorize"),
    ("POST", "/introspect"),
    ("POST", "/v1/keys/self/rotate"),
    ("POST", "/v1/keys/verify"),
    ("POST", "/v1/requests/verify"),
    ("POST", "/v1/audit/refusals"),
    ("POST", "/v1/audit/legacy-uses"),
    ("POST", "/v1/leaks"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/account"),
    ("POST", "/account/sign-out"),
    ("GET", "/consent/x"),
    ("GET", "/continue/x"),
    ("GET", "/nowhere"),
    ("GET", "/health"),
];

async fn ask(server: &TestServer, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.caller.request(method.parse().unwrap(), path).header("origin", "https://spa.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.caller.send(request).await
}

/// Whether an answer lets the origin of these tests read it: by name where credentials are allowed.
fn assert_open(answer: &Answer, path: &str) {
    let (origin, credentials, vary) = match ["/token", "/revoke", "/userinfo"].contains(&path) {
        true => ("https://spa.example", Some("true"), Some("Origin")),
        false => ("*", None, None),
    };
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{path}");
    assert_eq!(answer.header("access-control-allow-credentials"), credentials, "{path}");
    assert_eq!(answer.header("vary"), vary, "{path}");
}

fn cors(answer: &Answer) -> Vec<&str> {
    answer.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn open_endpoints_let_every_origin_read_also_their_errors() {
    let server = TestServer::start().await;
    for (method, path) in OPEN {
        // Most of these are errors: no client, no token, the wrong content type.
        for method in [*method, "PUT"] {
            let answer = ask(&server, method, path, &[]).await;
            assert_open(&answer, path);
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(exposed, Some("WWW-Authenticate, DPoP-Nonce, Retry-After"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_preflight_of_an_open_endpoint_is_204_whatever_it_asks_for() {
    let server = TestServer::start().await;
    for (method, path) in OPEN {
        let asks = [
            ("access-control-request-method", *method),
            ("access-control-request-headers", "authorization,content-type,dpop,mcp-protocol-version"),
        ];
        let answer = ask(&server, "OPTIONS", path, &asks).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
        assert_open(&answer, path);
        let allowed = answer.header("access-control-allow-headers");
        assert_eq!(allowed, Some(doorward_core::cors::ALLOWED_HEADERS));
        assert!(answer.header("access-control-allow-methods").unwrap().contains(method));
    }
    // Without what makes it one it is no preflight.
    let plain = server.caller.send(server.caller.request(Method::OPTIONS, "/token")).await;
    assert_eq!(plain.problem(), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn everything_else_is_closed_to_other_origins_preflights_too() {
    let server = TestServer::start().await;
    for (method, path) in CLOSED {
        let answer = ask(&server, method, path, &[]).await;
        assert_eq!(cors(&answer), [""; 0], "{method} {path}");
        let preflight = ask(&server, "OPTIONS", path, &[("access-control-request-method", *method)]).await;
        assert_eq!(cors(&preflight), [""; 0], "{method} {path}");
        assert_ne!(preflight.status, 204, "{path}");
    }
}

#[tokio::test]
async fn preflight_with_a_credential_in_its_url_is_refused() {
    let server = TestServer::start().await;
    let request = server.caller.request(Method::OPTIONS, "/userinfo?access_token=x");
    let request = request.header("origin", "https://app.example").header("access-control-request-method", "GET");
    let answer = server.caller.send(request).await;
    assert_eq!(answer.problem(), (400, "credential_in_query".into()));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
}

#[tokio::test]
async fn answer_without_an_origin_names_none_but_depends_on_it() {
    let server = TestServer::start().await;
    let answer = server.caller.get("/userinfo").await;
    assert_eq!((cors(&answer), answer.header("vary")), (vec![], Some("Origin")));
}
