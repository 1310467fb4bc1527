//! `private_key_jwt` at `/token` (RFC 7523 section 3, OpenID Connect Core section 9).

use doorward_core::client_metadata::{ClientKeys, ClientMetadata};
use doorward_core::{
    client::{AuthenticationMethod, GrantType},
    client_auth::ASSERTION_TYPE,
    jwk::{Algorithm, SigningKey},
    jws,
    scope::ScopeSet,
};
use doorward_guard::SystemRng;
use serde_json::{Value, json};

use crate::harness::*;

/// A client that signs.
struct Signer {
    key: SigningKey,
    client: Registered,
}

impl Signer {
    async fn register(server: &TestServer, for_token_endpoint: bool) -> Self {
        let key = SigningKey::generate("robot-1".into(), Algorithm::ES256, &SystemRng::default()).unwrap();
        let new = ClientMetadata {
            grant_types: grants([GrantType::ClientCredentials]),
            redirect_uris: vec![],
            default_scope: ScopeSet::parse("notes:read").unwrap(),
            jwks: ClientKeys::parse(json!({"keys": [key.public_jwk()]}).to_string().as_bytes()).ok(),
            assertion_for_token_endpoint: for_token_endpoint,
            ..client("Robot", AuthenticationMethod::PrivateKeyJwt, "https://robot.example/cb")
        };
        Self { key, client: register(&server.app, new).await }
    }

    /// The claims of a good assertion, with changes.
    fn claims(&self, server: &TestServer, change: Value) -> Value {
        let mut claims = json!({
            "iss": self.client.id, "sub": self.client.id, "aud": server.issuer(),
            "jti": "assertion-1", "iat": server.now(), "exp": server.now() + 60,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn sign(&self, claims: &Value) -> String {
        jws::sign(&self.key, "JWT", claims.to_string().as_bytes()).unwrap()
    }
}

async fn present(server: &TestServer, assertion: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    server.caller.post("/token", &form).await
}

#[tokio::test]
async fn an_assertion_for_the_issuer_authenticates_its_client() {
    let server = TestServer::start().await;
    let robot = Signer::register(&server, false).await;
    let answer = present(&server, &robot.sign(&robot.claims(&server, json!({})))).await.expect(200);
    assert_eq!(claims(&answer.text("access_token"))["client_id"], robot.client.id);
}

#[tokio::test]
async fn assertion_is_single_use_even_at_once_and_after_a_restart() {
    on_each_engine(async |server| {
        let robot = Signer::register(server, false).await;
        let assertion = robot.sign(&robot.claims(server, json!({})));
        let beside = server.beside().await;
        let answers = at_once(8, |at| {
            let (server, assertion) = (if at % 2 == 0 { server } else { &beside }, assertion.clone());
            let caller = server.caller.clone();
            async move {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", assertion.as_str()),
                ];
                caller.post("/token", &form).await
            }
        })
        .await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        let refused = (401, "invalid_client".to_owned(), "client_authentication_failed".to_owned());
        assert!(bad.iter().all(|answer| answer.oauth_error() == refused));
        let later = server.beside().await;
        assert_eq!(present(&later, &assertion).await.oauth_error(), refused);
        let event = &server.explain(&bad[0].text("trace_id")).await;
        let beside_event = &beside.explain(&bad[0].text("trace_id")).await;
        let event = event.first().or(beside_event.first()).unwrap();
        assert_eq!(event.code.as_deref(), Some("client_assertion_replayed"));
    })
    .await;
}

#[tokio::test]
async fn flawed_assertions_look_alike_and_are_not_used_up() {
    let server = TestServer::start_with(|settings| settings.throttle.client_failures_per_minute = 100).await;
    let robot = Signer::register(&server, false).await;
    let token_endpoint = format!("{}/token", server.issuer());
    for change in [
        json!({"aud": token_endpoint}),
        json!({"aud": [server.issuer(), "https://other.example"]}),
        json!({"aud": "https://other.example"}),
        json!({"iss": "somebody"}),
        json!({"exp": server.now() - 60}),
        json!({"exp": server.now() + 3_600}),
        json!({"iat": server.now() + 120}),
        json!({"nbf": server.now() + 120}),
        json!({"jti": null}),
    ] {
        let answer = present(&server, &robot.sign(&robot.claims(&server, change.clone()))).await;
        let refused = (401, "invalid_client".to_owned(), "client_authentication_failed".to_owned());
        assert_eq!(answer.oauth_error(), refused, "{change}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    let stranger = SigningKey::generate("robot-1".into(), Algorithm::ES256, &SystemRng::default()).unwrap();
    let good = robot.claims(&server, json!({}));
    let forged = jws::sign(&stranger, "JWT", good.to_string().as_bytes()).unwrap();
    let unsigned = token(&json!({"alg": "none", "kid": "robot-1"}), &good, b"");
    let other_type = jws::sign(&robot.key, "at+jwt", good.to_string().as_bytes()).unwrap();
    for assertion in [forged, unsigned, other_type, "e30.e30.AA".into(), "nonsense".into()] {
        present(&server, &assertion).await.expect(401);
    }
    present(&server, &robot.sign(&good)).await.expect(200);
}

#[tokio::test]
async fn token_endpoint_is_an_audience_only_for_registered_clients() {
    let server = TestServer::start().await;
    let spring = Signer::register(&server, true).await;
    let token_endpoint = format!("{}/token", server.issuer());
    let assertion = spring.sign(&spring.claims(&server, json!({"aud": token_endpoint})));
    present(&server, &assertion).await.expect(200);
}

#[tokio::test]
async fn an_assertion_of_another_type_can_not_be_read() {
    let server = TestServer::start().await;
    let robot = Signer::register(&server, false).await;
    let assertion = robot.sign(&robot.claims(&server, json!({})));
    for form in [
        vec![("grant_type", "client_credentials"), ("client_assertion", assertion.as_str())],
        vec![
            ("grant_type", "client_credentials"),
            ("client_assertion", assertion.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        ],
    ] {
        let answer = server.caller.post("/token", &form).await;
        assert_eq!(answer.oauth_error().0, 400);
        assert_eq!(answer.oauth_error().2, "client_authentication_malformed");
    }
}
