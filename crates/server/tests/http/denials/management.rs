//! What the management API refuses.

use doorward_core::{api_key::ApiKey, denial::Denial, random::SeededRng};
use reqwest::Method;
use serde_json::{Value, json};

use super::scene::Scene;
use crate::{harness::*, manage::manager::Manager};

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let manager = match denial {
        RightsExceeded => Manager::with(&scene.server, "clients:write").await,
        _ => Manager::of_all(&scene.server).await,
    };
    let traceparent = scene.traceparent();
    let send = async |method, path: &str, header: Option<(&str, &str)>, body: Option<Value>| {
        let headers: Vec<_> = header.into_iter().chain([("traceparent", traceparent.as_str())]).collect();
        manager.send(method, path, &headers, body).await
    };
    let web = format!("/v1/clients/{}", scene.server.world.web.id);
    Some(match denial {
        BodyInvalid => send(Method::POST, "/v1/clients", None, Some(json!({"colour": "red"}))).await,
        QueryInvalid => send(Method::GET, "/v1/clients?colour=red", None, None).await,
        IdUnknown => send(Method::GET, "/v1/clients/nothing", None, None).await,
        Conflict => {
            let taken = json!({"username": ALICE, "password": PASSWORD});
            send(Method::POST, "/v1/users", None, Some(taken)).await
        }
        ConfirmationRequired => {
            scene.server.tokens(&scene.server.world.web).await;
            send(Method::DELETE, &web, None, None).await
        }
        PreconditionFailed => {
            let stale = Some(("if-match", "\"stale\""));
            send(Method::PATCH, &web, stale, Some(json!({"client_name": "Other"}))).await
        }
        IdempotencyKeyInvalid => {
            send(Method::POST, "/v1/clients", Some(("idempotency-key", "1")), Some(robot("notes:read"))).await
        }
        IdempotencyKeyReused => {
            let key = ("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-000000000001");
            let first = Some(robot("notes:read"));
            manager.send(Method::POST, "/v1/clients", &[key], first).await.expect(201);
            send(Method::POST, "/v1/clients", Some(key), Some(robot("notes:write"))).await
        }
        LeakReportsThrottled => {
            // A key that does not exist counts too.
            let key = ApiKey::generate(&Default::default(), Default::default(), &SeededRng::new(99));
            loop {
                let answer = send(Method::POST, "/v1/leaks", None, Some(json!({"key": key.reveal()}))).await;
                if answer.status != 202 {
                    break answer;
                }
            }
        }
        PartnerSignatureInvalid => send(Method::POST, "/v1/leaks/github", None, Some(json!([]))).await,
        RightsExceeded => send(Method::POST, "/v1/clients", None, Some(robot("users:write"))).await,
        SelfRotationForbidden => send(Method::POST, "/v1/keys/self/rotate", None, Some(json!({}))).await,
        _ => return None,
    })
}

fn robot(scope: &str) -> Value {
    json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": scope})
}
