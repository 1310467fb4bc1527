//! A web application with a secret: every grant, and what becomes of its tokens.

use std::error::Error;

use openidconnect::core::{CoreAuthPrompt, CoreTokenType};
use openidconnect::http::StatusCode;
use openidconnect::http::header::WWW_AUTHENTICATE;
use openidconnect::{AccessToken, OAuth2TokenResponse, PkceCodeChallenge, TokenIntrospectionResponse};

use crate::application::{Answer, Application, Ask, Granted, scopes_of};
use crate::checks::{Checks, Failure, earlier, equal, hold, present, refused};
use crate::demo::Demo;
use crate::person::{Acts, Person};

/// Runs the checks in the order in which such an application acts.
pub fn run(checks: &mut Checks, demo: &Demo, person: &mut Person<'_>) {
    let application =
        checks.check("discovery names the issuer and PKCE with S256", || discovery_names_issuer_and_s256(demo));
    let answer = checks.check("the code comes back with state and iss after sign-in and consent", || {
        code_comes_back(earlier(&application)?, demo, person)
    });
    let granted = checks.check("the code is redeemed for an access token, a refresh token and an ID token", || {
        code_is_redeemed(earlier(&application)?, demo, earlier(&answer)?)
    });
    checks.check("userinfo names who signed in, under the subject of the ID token", || {
        userinfo_names_who(earlier(&application)?, demo, earlier(&granted)?)
    });
    checks.check("the notes API takes the token for reading and for writing", || {
        let token = earlier(&granted)?.tokens.access_token();
        equal(demo.get_notes(token)?.status(), StatusCode::OK)?;
        equal(demo.post_note(token)?.status(), StatusCode::CREATED)
    });
    checks.check("a refresh rotates the token, a repeat gets the same successor, a reuse ends the family", || {
        refresh_rotates(earlier(&application)?, earlier(&granted)?)
    });
    let silent = checks.check("consent is remembered: prompt=none gets a code without a page", || {
        consent_is_remembered(earlier(&application)?, demo, person)
    });
    checks.check("introspection turns from active to inactive when the token is revoked", || {
        revocation_ends_tokens(earlier(&application)?, demo, earlier(&silent)?)
    });
    checks.check("a scope that was unticked is not granted, and the API refuses what needs it", || {
        unticked_scope_is_not_granted(earlier(&application)?, demo, person)
    });
    checks.check("a code that is redeemed twice gives nothing and takes back what it gave", || {
        second_redemption_takes_back(earlier(&application)?, person)
    });
    checks.check("a wrong code_verifier is refused and leaves the code good", || {
        wrong_verifier_leaves_code_good(earlier(&application)?, demo, person)
    });
    checks.check("a refusal by the person comes back as access_denied", || {
        refusal_comes_back(earlier(&application)?, demo, person)
    });
    checks.check("client_credentials gives a token without a refresh token, for the scopes that were asked", || {
        client_credentials_gives_what_was_asked(earlier(&application)?, demo)
    });
    checks.check("the secret may stand in the body, and a wrong one is invalid_client", || {
        secret_may_stand_in_body(demo)
    });
}

fn discovery_names_issuer_and_s256(demo: &Demo) -> Result<Application, Failure> {
    let application = Application::discover(&demo.issuer, &demo.client_id, Some(&demo.client_secret))?
        .returning_to(&demo.redirect_uri)?;
    equal(application.issuer(), demo.issuer.as_str())?;
    equal(application.code_challenge_methods(), ["S256"])?;
    Ok(application)
}

fn code_comes_back(application: &Application, demo: &Demo, person: &mut Person<'_>) -> Result<Answer, Failure> {
    let answer = application.ask(person, Ask::default())?;
    equal(&answer.callback.shown, &["sign-in", "consent"])?;
    equal(answer.parameter("state"), Some(answer.state.secret().as_str()))?;
    equal(answer.parameter("iss"), Some(demo.issuer.as_str()))?;
    Ok(answer)
}

fn code_is_redeemed(application: &Application, demo: &Demo, answer: &Answer) -> Result<Granted, Failure> {
    let granted = application.redeem(answer)?;
    equal(granted.tokens.token_type(), &CoreTokenType::Bearer)?;
    let all = ["email", "notes:read", "notes:write", "offline_access", "openid", "profile"];
    equal(scopes_of(&granted.tokens), all)?;
    present(granted.tokens.refresh_token(), "refresh token")?;
    equal(granted.claims.issuer().as_str(), demo.issuer.as_str())?;
    let audiences: Vec<&str> = granted.claims.audiences().iter().map(|audience| audience.as_str()).collect();
    equal(audiences, [demo.client_id.as_str()])?;
    Ok(granted)
}

fn userinfo_names_who(application: &Application, demo: &Demo, granted: &Granted) -> Result<(), Failure> {
    let info = application.user_info(granted.tokens.access_token(), granted.claims.subject())?;
    equal(info.subject(), granted.claims.subject())?;
    equal(info.preferred_username().map(|name| name.as_str()), Some(demo.username.as_str()))
}

fn refresh_rotates(application: &Application, granted: &Granted) -> Result<(), Failure> {
    let first = present(granted.tokens.refresh_token(), "refresh token")?;
    let rotated = application.refresh(first)?;
    let second = present(rotated.refresh_token(), "refresh token")?;
    hold(second.secret() != first.secret(), "the refresh token is another")?;
    let repeated = application.refresh(first)?;
    equal(repeated.refresh_token().map(|token| token.secret()), Some(second.secret()))?;
    let used = application.refresh(second)?;
    let third = present(used.refresh_token(), "refresh token")?;
    hold(![first.secret(), second.secret()].contains(&third.secret()), "the refresh token is another again")?;
    equal(application.introspect(used.access_token())?.active(), true)?;
    refused(application.refresh(first), "invalid_grant")?;
    refused(application.refresh(third), "invalid_grant")?;
    application.assert_inactive(used.access_token())
}

fn consent_is_remembered(application: &Application, demo: &Demo, person: &mut Person<'_>) -> Result<Granted, Failure> {
    let silent = application.ask(person, Ask { prompt: Some(CoreAuthPrompt::None), ..Ask::default() })?;
    hold(silent.callback.shown.is_empty(), "no page is shown")?;
    let granted = application.redeem(&silent)?;
    equal(demo.get_notes(granted.tokens.access_token())?.status(), StatusCode::OK)?;
    Ok(granted)
}

fn revocation_ends_tokens(application: &Application, demo: &Demo, granted: &Granted) -> Result<(), Failure> {
    let access = granted.tokens.access_token();
    let before = application.introspect(access)?;
    equal(before.active(), true)?;
    equal(before.client_id().map(|id| id.as_str()), Some(demo.client_id.as_str()))?;
    equal(before.sub(), Some(granted.claims.subject().as_str()))?;
    application.revoke(access)?;
    application.assert_inactive(access)?;
    let refresh = present(granted.tokens.refresh_token(), "refresh token")?;
    let asked_about = AccessToken::new(refresh.secret().clone());
    equal(application.introspect(&asked_about)?.active(), true)?;
    application.revoke(refresh)?;
    application.assert_inactive(&asked_about)?;
    refused(application.refresh(refresh), "invalid_grant")
}

fn unticked_scope_is_not_granted(
    application: &Application,
    demo: &Demo,
    person: &mut Person<'_>,
) -> Result<(), Failure> {
    let acts = Acts { untick: &["notes:write"], ..Acts::default() };
    let asked = application.ask(person, Ask { prompt: Some(CoreAuthPrompt::Consent), acts, ..Ask::default() })?;
    let narrowed = application.redeem(&asked)?.tokens;
    equal(scopes_of(&narrowed), ["email", "notes:read", "offline_access", "openid", "profile"])?;
    equal(demo.get_notes(narrowed.access_token())?.status(), StatusCode::OK)?;
    demo.assert_may_not_write(narrowed.access_token())
}

fn second_redemption_takes_back(application: &Application, person: &mut Person<'_>) -> Result<(), Failure> {
    let answer = application.ask(person, Ask::default())?;
    let given = application.redeem(&answer)?.tokens;
    equal(application.introspect(given.access_token())?.active(), true)?;
    refused(application.redeem(&answer), "invalid_grant")?;
    application.assert_inactive(given.access_token())?;
    refused(application.refresh(present(given.refresh_token(), "refresh token")?), "invalid_grant")
}

fn wrong_verifier_leaves_code_good(
    application: &Application,
    demo: &Demo,
    person: &mut Person<'_>,
) -> Result<(), Failure> {
    let answer = application.ask(person, Ask::default())?;
    let (_, wrong) = PkceCodeChallenge::new_random_sha256();
    refused(application.redeem_with(&answer, wrong), "invalid_grant")?;
    equal(demo.get_notes(application.redeem(&answer)?.tokens.access_token())?.status(), StatusCode::OK)
}

fn refusal_comes_back(application: &Application, demo: &Demo, person: &mut Person<'_>) -> Result<(), Failure> {
    let acts = Acts { deny: true, ..Acts::default() };
    let denied = application.ask(person, Ask { prompt: Some(CoreAuthPrompt::Consent), acts, ..Ask::default() })?;
    equal(denied.parameter("iss"), Some(demo.issuer.as_str()))?;
    refused(application.redeem(&denied), "access_denied")
}

fn client_credentials_gives_what_was_asked(application: &Application, demo: &Demo) -> Result<(), Failure> {
    let own = application.credentials(Some(&demo.api_audience))?;
    equal(scopes_of(&own), ["notes:read"])?;
    hold(own.refresh_token().is_none(), "there is no refresh token")?;
    equal(demo.get_notes(own.access_token())?.status(), StatusCode::OK)?;
    demo.assert_may_not_write(own.access_token())?;
    let seen = application.introspect(own.access_token())?;
    equal(seen.active(), true)?;
    equal(seen.aud(), Some(&vec![demo.api_audience.clone()]))?;
    application.revoke(own.access_token())?;
    application.assert_inactive(own.access_token())
}

fn secret_may_stand_in_body(demo: &Demo) -> Result<(), Failure> {
    let with_secret = |secret| Application::discover(&demo.issuer, &demo.client_id, Some(secret));
    let posted = with_secret(&demo.client_secret)?.with_secret_in_body().credentials(None)?;
    equal(demo.get_notes(posted.access_token())?.status(), StatusCode::OK)?;
    refused(with_secret(&demo.api_client_secret)?.with_secret_in_body().credentials(None), "invalid_client")?;
    let wrong = with_secret(&demo.api_client_secret)?;
    refused(wrong.credentials(None), "invalid_client")?;
    // Basic is answered with a challenge of the same scheme (RFC 6749 5.2).
    let answer = present(wrong.last_answer(), "answer")?;
    equal(answer.status(), StatusCode::UNAUTHORIZED)?;
    let challenge = present(answer.headers().get(WWW_AUTHENTICATE), "challenge")?.to_str();
    let challenge = challenge.map_err(Box::<dyn Error>::from)?;
    hold(challenge.starts_with("Basic "), challenge)
}
