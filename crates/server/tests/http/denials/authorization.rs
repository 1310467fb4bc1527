//! What is refused at `/authorize`: on a page, or by a redirect to the client.

use doorward_core::denial::Denial;
use doorward_store::authorization::MAX_OPEN_REQUESTS;

use super::scene::Scene;
use crate::harness::*;

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let server = &scene.server;
    let good = AuthorizationRequest::of(&server.world.web);
    let request = match denial {
        AuthorizeClientUnknown => good.with("client_id", "nobody"),
        RedirectUriMissing => good.without("redirect_uri"),
        RedirectUriNotRegistered => good.with("redirect_uri", "https://evil.example/cb"),
        ParameterInvalid => good.with("prompt", "made_up"),
        ResponseTypeUnsupported => good.with("response_type", "token"),
        ResponseModeUnsupported => good.with("response_mode", "made_up"),
        PkceChallengeMissing => {
            let basic = register(&server.app, basic_client()).await;
            AuthorizationRequest::of(&basic).without("code_challenge")
        }
        PkceMissing => good.without("code_challenge"),
        PkceMethodUnsupported => good.with("code_challenge_method", "plain"),
        RequestObjectUnsupported => good.with("request", "e30.e30."),
        RequestUriUnsupported => good.with("request_uri", "https://app.example/request"),
        LoginRequired => good.with("prompt", "none"),
        ConsentRequired => {
            let browser = server.browser();
            user(&server.app, "dave").await;
            browser.sign_in("dave", PASSWORD).await.expect(303);
            let traceparent = scene.traceparent();
            return Some(browser.get_with(&good.with("prompt", "none").path(), &[("traceparent", &traceparent)]).await);
        }
        AccessDenied => {
            let browser = server.browser();
            let form = browser.consent(&good.with("prompt", "consent")).await;
            let traceparent = scene.traceparent();
            let no = [("csrf", form.csrf.as_str()), ("decision", "deny")];
            return Some(browser.post_with(&form.action, &[("traceparent", &traceparent)], &no).await);
        }
        AuthorizeNotNavigated => {
            return Some(scene.get(&server.caller, &good.path(), &[("sec-fetch-dest", "image")]).await);
        }
        AuthorizeThrottled => {
            let caller = server.caller_from([127, 0, 0, 9]);
            // One person alone can't fill the network.
            for at in 0..server.app.settings.limits.open_requests_per_network / MAX_OPEN_REQUESTS {
                let (browser, name) = (Browser::new(&caller), format!("erin{at}"));
                user(&server.app, &name).await;
                browser.sign_in(&name, PASSWORD).await.expect(303);
                for _ in 0..MAX_OPEN_REQUESTS {
                    browser.get(&good.path()).await.expect(303);
                }
            }
            return Some(scene.get(&caller, &good.path(), &[]).await);
        }
        PostLogoutRedirectUriNotRegistered => {
            let web = &server.world.web.id;
            let path = format!("/logout?client_id={web}&post_logout_redirect_uri=https://evil.example/");
            return Some(scene.get(&server.caller, &path, &[]).await);
        }
        InteractionUnknown => return Some(scene.get(&server.caller, "/sign-in/nonsense", &[]).await),
        _ => return None,
    };
    Some(scene.get(&server.caller, &request.path(), &[]).await)
}
