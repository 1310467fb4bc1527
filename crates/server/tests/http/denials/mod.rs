//! Every denial of the list, given over HTTP and explained. A denial that is added to the list fails this test until
//! a request is known that is refused with it.

mod at_an_api;
mod authorization;
mod clients;
mod grants;
mod management;
mod people;
pub(crate) mod scene;
mod transport;

use doorward_core::denial::Denial;
use doorward_server::manage::audit::Explained;

use self::scene::Scene;
use crate::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_denial_occurs_over_http_and_is_explained() {
    let mut scene = Scene::set().await;
    for denial in Denial::ALL.iter().copied() {
        scene.begin(denial);
        let answer = match denial {
            Denial::VerifierUnavailable => {
                scene = at_an_api::while_the_issuer_is_away(scene).await;
                None
            }
            Denial::Overloaded => {
                people::in_a_crowd().await;
                continue;
            }
            _ => Some(provoked(&scene, denial).await),
        };
        if denial == Denial::NotFound {
            // It is only counted: `refusals::requests_for_unknown_addresses_are_counted`.
            assert_eq!(answer.map(|answer| answer.status), Some(404));
            continue;
        }
        if let Some(answer) = answer {
            // A page or a document says it with the denial's status; a redirect says it to the client.
            if answer.status == 303 {
                assert_eq!(answer.sent("error").as_deref(), Some(denial.error()), "{denial}");
            } else {
                assert_eq!(answer.status, denial.status(), "{denial}: {}", answer.body);
            }
        }
        scene.api.guard.flush().await;
        let is_meant =
            |event: &Explained| event.action == "request.refused" && event.code.as_deref() == Some(denial.code());
        // What an operation wrote of its own is there at once, and the refusal a moment later.
        let event = eventually(denial.code(), async || {
            scene.server.explain(&scene.trace_id()).await.into_iter().find(is_meant)
        })
        .await;
        assert_eq!(event.status, Some(denial.status()), "{denial}");
        let sentence = event.detail.as_deref().unwrap_or_default();
        assert!(sentence.starts_with(denial.sentence().trim_end_matches('.')), "{denial}: {sentence}");
        assert_eq!([event.cause, event.remedy], [denial.cause(), denial.remedy()].map(Some), "{denial}");
        assert!(event.details.contains_key("method") && event.details.contains_key("path"), "{denial}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apis_refusal_is_explained_with_the_issuers_cause() {
    let scene = Scene::set().await;
    let (server, world) = (&scene.server, &scene.server.world);
    let of_mails = key(&server.app, new_key("mails", "mails:read")).await;
    let mails = server.caller.client_credentials(&world.web, "mails:read").await.text("access_token");
    for (credential, shown, cause) in
        [(&of_mails, "key_unknown", Denial::KeyOfAnotherApi), (&mails, "token_unknown", Denial::TokenAudienceWrong)]
    {
        let authorization = format!("Bearer {credential}");
        let answer = scene.api.caller.get_with("/me", &[("authorization", &authorization)]).await;
        assert_eq!(answer.problem(), (401, shown.to_owned()));
        scene.api.guard.flush().await;
        let story = server.explain(&answer.text("trace_id")).await;
        let codes: Vec<_> = story.iter().filter_map(|event| event.code.as_deref()).collect();
        assert_eq!(codes.len(), 2, "{story:#?}");
        assert!(codes.contains(&shown) && codes.contains(&cause.code()), "{codes:?}");
    }
}

/// The answer to a request that is refused with this denial.
async fn provoked(scene: &Scene, denial: Denial) -> crate::harness::Answer {
    let answer = None
        .or(at_an_api::provoke(scene, denial).await)
        .or(transport::provoke(scene, denial).await)
        .or(clients::provoke(scene, denial).await)
        .or(grants::provoke(scene, denial).await)
        .or(authorization::provoke(scene, denial).await)
        .or(people::provoke(scene, denial).await)
        .or(management::provoke(scene, denial).await);
    answer.unwrap_or_else(|| panic!("no request is known that is refused with {denial}"))
}
