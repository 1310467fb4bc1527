//! What is refused to people who sign in.

use doorward_core::denial::Denial;
use doorward_server::manage::users;

use super::scene::Scene;
use crate::harness::*;

const WRONG: &str = "a wrong password of mine";

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let server = &scene.server;
    let browser = server.browser();
    Some(match denial {
        UserUnknown => sign_in(scene, &browser, "nobody", WRONG).await,
        PasswordWrong => sign_in(scene, &browser, ALICE, WRONG).await,
        UserDisabled => {
            users::disable(&server.app, &operator(), BOB, true, |_| Ok(())).await.unwrap();
            sign_in(scene, &browser, BOB, PASSWORD).await
        }
        SignInThrottled => {
            for _ in 0..5 {
                browser.sign_in("somebody", WRONG).await.expect(401);
            }
            sign_in(scene, &browser, "somebody", WRONG).await
        }
        FormExpired => {
            let traceparent = scene.traceparent();
            browser.post_with("/sign-in", &[("traceparent", &traceparent)], &[("csrf", "x")]).await
        }
        _ => return None,
    })
}

/// So many people sign in at once that the queue for hashes is full; on a server whose hashes are slow.
pub(super) async fn in_a_crowd() {
    let server = TestServer::start_with(|settings| {
        (settings.password.hash_queue, settings.password.max_concurrent_hashes) = (1, 1);
        settings.password.iterations = 2_000;
    })
    .await;
    let browser = server.browser();
    let page = browser.get("/sign-in").await;
    let form = Form::of(&page);
    let answers = at_once(8, |at| {
        let (browser, form, name) = (browser.copy(), form.clone(), format!("name{at}"));
        async move { browser.submit(&form, &[("username", &name), ("password", WRONG)]).await }
    })
    .await;
    let refused = answers.iter().find(|answer| answer.status == 503).expect("the queue has one place");
    let reference = refused.body.split("data-copy>").nth(1).unwrap().split('<').next().unwrap();
    let story = server.explain(reference).await;
    assert_eq!(story[0].code.as_deref(), Some(Denial::Overloaded.code()));
    assert_eq!(story[0].remedy, Some(Denial::Overloaded.remedy()));
}

async fn sign_in(scene: &Scene, browser: &Browser, username: &str, password: &str) -> Answer {
    let form = Form::of(&browser.get("/sign-in").await);
    let fields = [("csrf", form.csrf.as_str()), ("username", username), ("password", password)];
    browser.post_with("/sign-in", &[("traceparent", &scene.traceparent())], &fields).await
}
