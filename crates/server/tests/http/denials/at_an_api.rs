//! What is refused to who presents a credential: at `/userinfo`, at the management API, and at an API behind a guard.

use std::time::Duration;

use doorward_core::{
    api::ApiMetadata,
    api_key::{ApiKey, Environment, KeyPrefix},
    denial::Denial,
    jwk::{Algorithm, SigningKey},
    jws,
    key_kind::KeyKind,
    key_limits::{Per, Quota, RateLimit},
    scope::Scope,
    secret::ExposeSecret,
};
use doorward_guard::SystemRng;
use doorward_server::manage::{
    apis,
    keys::{self, Expiry, NewKey},
    users,
};
use serde_json::{Value, json};

use super::scene::Scene;
use crate::harness::*;

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let (server, world) = (&scene.server, &scene.server.world);
    Some(match denial {
        CredentialMissing => scene.get(&server.caller, "/userinfo", &[]).await,
        CredentialInQuery => scene.get(&server.caller, "/userinfo?access_token=x", &[]).await,
        CredentialMalformed => scene.get(&scene.api.caller, "/me", &[("authorization", "Basic eA==")]).await,
        CredentialMultiple => {
            let two = [("authorization", "Bearer x"), ("x-api-key", world.key.as_str())];
            scene.get(&scene.api.caller, "/me", &two).await
        }
        LegacyRateLimited => {
            let target = format!("/export?api_key={}", world.key);
            for _ in 0..10 {
                scene.api.caller.get(&target).await.expect(200);
            }
            scene.get(&scene.api.caller, &target, &[]).await
        }
        KeyMistyped => {
            let mut mistyped = world.management_key.clone();
            mistyped.replace_range(10..11, if mistyped.as_bytes()[10] == b'a' { "b" } else { "a" });
            by_key(scene, &mistyped).await
        }
        KeyUnknown => {
            let prefix = KeyPrefix::parse("mk").unwrap();
            by_key(scene, ApiKey::generate(&prefix, Environment::Live, &SystemRng::default()).reveal()).await
        }
        KeyOfAnotherApi => by_key(scene, &world.key).await,
        KeyExpired => {
            let short = NewKey { expiry: Expiry::After(Duration::from_secs(1)), ..management_key() };
            let short = key(&server.app, short).await;
            server.advance_secs(1);
            by_key(scene, &short).await
        }
        KeyRevoked => {
            let created = keys::create(&server.app, &operator(), management_key()).await.unwrap();
            keys::revoke(&server.app, &operator(), created.view.id.as_str()).await.unwrap();
            by_key(scene, created.key.reveal()).await
        }
        KeyDisabled => {
            let created = keys::create(&server.app, &operator(), management_key()).await.unwrap();
            keys::disable(&server.app, &operator(), created.view.id.as_str()).await.unwrap();
            by_key(scene, created.key.reveal()).await
        }
        KeyInBrowser => {
            let headers = [("x-api-key", world.management_key.as_str()), ("origin", "https://app.example")];
            scene.get(&server.caller, "/v1/keys", &headers).await
        }
        KeyAddressNotAllowed => {
            let bound = NewKey { allowed_addresses: vec!["192.0.2.0/24".into()], ..management_key() };
            by_key(scene, &key(&server.app, bound).await).await
        }
        KeyOriginNotAllowed => {
            let edit = |api: &apis::ApiView| {
                let public_scopes = [Scope::parse("notes:read").unwrap()].into();
                Ok(ApiMetadata { public_scopes, ..api.metadata.clone() })
            };
            apis::update(&server.app, &operator(), "notes", false, edit).await.unwrap();
            let (kind, allowed_origins) = (KeyKind::Publishable, vec!["https://app.example".into()]);
            let of_a_page = key(&server.app, NewKey { kind, allowed_origins, ..new_key("notes", "notes:read") }).await;
            let headers = [("x-api-key", of_a_page.as_str()), ("origin", "https://other.example")];
            scene.get(&scene.api.caller, "/me", &headers).await
        }
        KeyRateLimited => {
            let rate_limit = Some(RateLimit { requests: 1, seconds: 60 });
            used_twice(scene, NewKey { rate_limit, ..management_key() }).await
        }
        KeyQuotaExhausted => {
            let quota = Some(Quota { requests: 1, per: Per::Day });
            used_twice(scene, NewKey { quota, ..management_key() }).await
        }
        KeyUsesExhausted => used_twice(scene, NewKey { uses: Some(1), ..management_key() }).await,
        KeyOwnerDisabled => {
            user(&server.app, "owner").await;
            let owned = key(&server.app, NewKey { owner: Some("user:owner".into()), ..management_key() }).await;
            users::disable(&server.app, &operator(), "owner", true, |_| Ok(())).await.unwrap();
            by_key(scene, &owned).await
        }
        TokenMalformed => scene.userinfo("nonsense").await,
        TokenTypeWrong => scene.userinfo(&scene.gift(&world.web, "id_token").await).await,
        TokenHeaderRefused => {
            let token = scene.gift(&world.web, "access_token").await;
            let mut head = header(&token);
            head["crit"] = json!(["exp"]);
            scene.userinfo(&crate::harness::token(&head, &claims(&token), b"x")).await
        }
        TokenAlgorithmRefused => {
            let token = scene.gift(&world.web, "access_token").await;
            let mut head = header(&token);
            head["alg"] = json!("none");
            scene.userinfo(&crate::harness::token(&head, &claims(&token), b"")).await
        }
        TokenKeyUnknown => {
            let stranger = SigningKey::generate("sig_0".into(), Algorithm::EdDSA, &SystemRng::default()).unwrap();
            let token = scene.gift(&world.web, "access_token").await;
            scene.userinfo(&jws::sign(&stranger, "at+jwt", claims(&token).to_string().as_bytes()).unwrap()).await
        }
        TokenSignatureWrong => {
            let token = scene.gift(&world.web, "access_token").await;
            scene.userinfo(&crate::harness::token(&header(&token), &claims(&token), &[7; 64])).await
        }
        TokenIssuerWrong => scene.userinfo(&signed(scene, "iss", json!("https://other.example")).await).await,
        TokenNotYetValid => scene.userinfo(&signed(scene, "nbf", json!(server.now() + 600)).await).await,
        TokenClaimsInvalid => scene.userinfo(&signed(scene, "exp", json!("tomorrow")).await).await,
        TokenBindingUnproven => {
            // Only a guard can be asked to take a bound token; the server itself makes none.
            let token = signed(scene, "cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})).await;
            scene.get(&scene.api.caller, "/me", &[("authorization", &format!("Bearer {token}"))]).await
        }
        TokenAudienceWrong => {
            let token = server.caller.client_credentials(&world.web, "notes:read").await.text("access_token");
            scene.userinfo(&token).await
        }
        TokenOfNoApi => {
            let request = AuthorizationRequest::of(&world.web).with("scope", "openid");
            let tokens = server.tokens_of(&world.web, &request).await;
            let authorization = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
            scene.get(&scene.api.caller, "/me", &[("authorization", &authorization)]).await
        }
        TokenExpired => {
            let token = scene.gift(&world.web, "access_token").await;
            server.advance_secs(300);
            scene.userinfo(&token).await
        }
        TokenUnknown => {
            let unknown = doorward_core::checksummed::generate("dw_at_", &SystemRng::default());
            scene.userinfo(unknown.expose_secret()).await
        }
        TokenRevoked => {
            let token = scene.gift(&world.web, "access_token").await;
            server.caller.post_as(&world.web, "/revoke", &[("token", &token)]).await.expect(200);
            scene.userinfo(&token).await
        }
        InsufficientScope => {
            let without = key(&server.app, new_key("doorward", "")).await;
            by_key(scene, &without).await
        }
        InsufficientPermission => scene.get(&scene.api.caller, "/admin", &[("x-api-key", world.key.as_str())]).await,
        _ => return None,
    })
}

/// The API asks about a key while the issuer is away, and reports the refusal when the issuer is back.
pub(super) async fn while_the_issuer_is_away(scene: Scene) -> Scene {
    let traceparent = scene.traceparent();
    let (key, clock) = (scene.server.world.key.clone(), scene.server.clock.clone());
    // The guard has met its issuer, so it knows where to deliver.
    scene.api.caller.get_with("/me", &[("x-api-key", &key)]).await.expect(200);
    let (stopped, address, api) = scene.close().await;
    // Longer than a verdict is kept.
    clock.advance(Duration::from_secs(1));
    let refused = api.caller.get_with("/me", &[("x-api-key", &key), ("traceparent", &traceparent)]).await;
    assert_eq!(refused.problem(), (503, "verifier_unavailable".into()));
    assert!(refused.header("retry-after").is_some());
    Scene::open(stopped.start(address).await, api, traceparent)
}

/// Asks the management API by a key.
async fn by_key(scene: &Scene, key: &str) -> Answer {
    let body = json!({"key": scene.server.world.key});
    let request = scene.server.caller.request(reqwest::Method::POST, "/v1/keys/verify").json(&body);
    scene.server.caller.send(request.header("x-api-key", key).header("traceparent", scene.traceparent())).await
}

async fn used_twice(scene: &Scene, new: NewKey) -> Answer {
    let limited = key(&scene.server.app, new).await;
    by_key(scene, &limited).await;
    by_key(scene, &limited).await
}

fn management_key() -> NewKey {
    new_key("doorward", "keys:verify")
}

/// A token that the server's own key signed, with one claim changed.
async fn signed(scene: &Scene, claim: &str, value: Value) -> String {
    let mut claims = claims(&scene.gift(&scene.server.world.web, "access_token").await);
    claims[claim] = value;
    let key = scene.server.signing_key(Algorithm::ES256).await;
    jws::sign(&key, "at+jwt", claims.to_string().as_bytes()).unwrap()
}
