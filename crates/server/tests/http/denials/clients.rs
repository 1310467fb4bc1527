//! What is refused to clients that do not prove who they are.

use doorward_core::{
    client::{AuthenticationMethod, GrantType},
    client_auth::ASSERTION_TYPE,
    client_metadata::{ClientKeys, ClientMetadata},
    denial::Denial,
    jwk::{Algorithm, SigningKey},
    jws,
};
use doorward_guard::SystemRng;
use doorward_server::manage::clients;
use serde_json::json;

use super::scene::Scene;
use crate::harness::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let (server, web) = (&scene.server, &scene.server.world.web);
    let wrong = basic(&web.id, "dw_cs_wrong");
    Some(match denial {
        ClientAuthenticationMissing => scene.post("/token", &[], &[GRANT]).await,
        ClientAuthenticationMalformed => scene.post("/token", &[("authorization", "Basic %")], &[GRANT]).await,
        ClientAuthenticationMultiple => {
            scene.post("/token", &[("authorization", &wrong)], &[GRANT, ("client_secret", "x")]).await
        }
        ClientUnknown => scene.post("/token", &[("authorization", &basic("nobody", "x"))], &[GRANT]).await,
        ClientSecretWrong => scene.post("/token", &[("authorization", &wrong)], &[GRANT]).await,
        ClientMethodRefused => scene.post("/token", &[], &[GRANT, ("client_id", &web.id)]).await,
        ClientDisabled => {
            let new = client("Disabled", AuthenticationMethod::ClientSecret, "https://disabled.example/cb");
            let disabled = register(&server.app, new).await;
            clients::disable(&server.app, &operator(), &disabled.id, true, |_| Ok(())).await.unwrap();
            scene.token(&disabled, &[GRANT]).await
        }
        ClientAssertionInvalid => assert(scene, "e30.e30.AA").await,
        ClientAssertionReplayed => {
            let assertion = assertion(scene).await;
            let form = [GRANT, ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
            server.caller.post("/token", &form).await.expect(200);
            assert(scene, &assertion).await
        }
        ClientThrottled => {
            // From an address that nobody else has.
            let caller = server.caller_from([127, 0, 0, 20]);
            for _ in 0..21 {
                caller.post_with("/token", &[("authorization", &wrong)], &[GRANT]).await;
            }
            let traceparent = scene.traceparent();
            let headers = [("authorization", wrong.as_str()), ("traceparent", &traceparent)];
            caller.post_with("/token", &headers, &[GRANT]).await
        }
        _ => return None,
    })
}

async fn assert(scene: &Scene, assertion: &str) -> Answer {
    let form = [GRANT, ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
    scene.post("/token", &[], &form).await
}

/// The good assertion of a client that signs.
async fn assertion(scene: &Scene) -> String {
    let key = SigningKey::generate("robot".into(), Algorithm::EdDSA, &SystemRng::default()).unwrap();
    let new = ClientMetadata {
        grant_types: grants([GrantType::ClientCredentials]),
        redirect_uris: vec![],
        default_scope: doorward_core::scope::ScopeSet::parse("notes:read").unwrap(),
        jwks: ClientKeys::parse(json!({"keys": [key.public_jwk()]}).to_string().as_bytes()).ok(),
        ..client("Robot", AuthenticationMethod::PrivateKeyJwt, "https://robot.example/cb")
    };
    let robot = register(&scene.server.app, new).await;
    let (issuer, now) = (scene.server.issuer(), scene.server.now());
    let claims = json!({"iss": robot.id, "sub": robot.id, "aud": issuer, "jti": "1", "iat": now, "exp": now + 60});
    jws::sign(&key, "JWT", claims.to_string().as_bytes()).unwrap()
}
