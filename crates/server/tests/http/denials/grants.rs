//! What is refused at `/token`, `/revoke` and `/introspect` to clients that are who they say.

use doorward_core::{denial::Denial, secret::ExposeSecret};
use doorward_guard::SystemRng;

use super::scene::Scene;
use crate::harness::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const REFRESH: (&str, &str) = ("grant_type", "refresh_token");

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let (server, world) = (&scene.server, &scene.server.world);
    let (web, spa) = (&world.web, &world.spa);
    Some(match denial {
        ParameterMissing => scene.token(web, &[]).await,
        ParameterRepeated => scene.token(web, &[GRANT, GRANT]).await,
        GrantTypeUnsupported => scene.token(web, &[("grant_type", "password")]).await,
        GrantTypeNotAllowed => scene.token(&world.notes, &[GRANT]).await,
        CodeUnknown => scene.token(web, &redemption(web, "nonsense")).await,
        CodeOfAnotherClient => {
            let code = server.code(web).await;
            scene.token(spa, &[&redemption(spa, &code)[..]].concat()).await
        }
        CodeExpired => {
            let code = server.code(web).await;
            server.advance_secs(60);
            scene.token(web, &redemption(web, &code)).await
        }
        CodeReplayed => {
            let code = server.code(web).await;
            server.redeem(web, &code).await.expect(200);
            scene.token(web, &redemption(web, &code)).await
        }
        CodeRedirectUriMismatch => {
            let code = server.code(web).await;
            let elsewhere = Registered { redirect_uri: "https://app.example/".into(), ..web.clone() };
            scene.token(web, &redemption(&elsewhere, &code)).await
        }
        CodeVerifierMismatch => {
            let code = server.code(web).await;
            let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", CHALLENGE)];
            scene.token(web, &form).await
        }
        CodeVerifierUnexpected => {
            let basic = register(&server.app, basic_client()).await;
            let code = server.code_of(&AuthorizationRequest::of(&basic).without_pkce()).await;
            scene.token(&basic, &redemption(&basic, &code)).await
        }
        RefreshTokenUnknown => {
            let unknown = doorward_core::checksummed::generate("dw_rt_", &SystemRng::default());
            refresh(scene, web, unknown.expose_secret()).await
        }
        RefreshTokenOfAnotherClient => refresh(scene, spa, &scene.gift(web, "refresh_token").await).await,
        RefreshTokenExpired => {
            let token = scene.gift(web, "refresh_token").await;
            server.advance(server.app.settings.tokens.refresh.idle);
            refresh(scene, web, &token).await
        }
        RefreshTokenReused => {
            let oldest = scene.gift(web, "refresh_token").await;
            let middle = server.caller.refresh(web, &oldest).await.text("refresh_token");
            server.caller.refresh(web, &middle).await.expect(200);
            refresh(scene, web, &oldest).await
        }
        RefreshTokenGraceOver => {
            let token = scene.gift(spa, "refresh_token").await;
            server.caller.refresh(spa, &token).await.expect(200);
            server.advance_secs(60);
            refresh(scene, spa, &token).await
        }
        GrantEnded => {
            let token = scene.gift(web, "refresh_token").await;
            server.caller.post_as(web, "/revoke", &[("token", &token)]).await.expect(200);
            refresh(scene, web, &token).await
        }
        UserUnavailable => {
            // Disabling a user ends the grants at once; what is left is a redemption that runs beside it, and a user
            // whom somebody disabled in the database.
            user(&server.app, "carol").await;
            let code =
                server.browser().authorize_as(&AuthorizationRequest::of(web), "carol").await.sent("code").unwrap();
            let sql = "UPDATE users SET disabled_at = 1 WHERE username_folded = $1";
            server.app.store.write(Run { sql, params: vec!["carol".into()] }).await.unwrap();
            scene.token(web, &redemption(web, &code)).await
        }
        ScopeInvalid => scene.token(web, &[GRANT, ("scope", "made:up")]).await,
        ScopeMalformed => scene.token(web, &[GRANT, ("scope", "notes:\"read")]).await,
        ScopeNotAllowed => scene.token(web, &[GRANT, ("scope", "openid")]).await,
        ScopeOfSeveralApis => scene.token(web, &[GRANT, ("scope", "notes:read mails:read")]).await,
        ScopeMissing => {
            let request = AuthorizationRequest::of(web).without("scope");
            scene.get(&server.caller, &request.path(), &[]).await
        }
        ScopeExceedsGrant => {
            let token = scene.gift(web, "refresh_token").await;
            scene.token(web, &[REFRESH, ("refresh_token", &token), ("scope", "mails:read")]).await
        }
        ResourceUnknown => scene.token(web, &[GRANT, ("resource", "https://other.example")]).await,
        ResourceNotGranted => {
            let token = scene.gift(web, "refresh_token").await;
            let resource = ("resource", "https://mails.example/v1");
            scene.token(web, &[REFRESH, ("refresh_token", &token), resource]).await
        }
        TokenOfAnotherClient => {
            let token = scene.gift(web, "access_token").await;
            scene.post_as(spa, "/revoke", &[("token", &token)]).await
        }
        _ => return None,
    })
}

async fn refresh(scene: &Scene, client: &Registered, token: &str) -> Answer {
    scene.token(client, &[REFRESH, ("refresh_token", token)]).await
}
