//! A native application: a public client on a loopback port of its own (RFC 8252).

use openidconnect::core::CoreAuthPrompt;
use openidconnect::http::StatusCode;
use openidconnect::{OAuth2TokenResponse, TokenIntrospectionResponse};

use crate::application::{Application, Ask, Granted, scopes_of};
use crate::checks::{Checks, Failure, earlier, equal, hold, present, refused};
use crate::demo::Demo;
use crate::person::Person;

/// Runs the checks in the order in which such an application acts.
pub fn run(checks: &mut Checks, demo: &Demo, person: &mut Person<'_>, redirect_uri: &str) {
    let signed_in = checks.check("the code flow works on a loopback port that was not registered", || {
        code_flow_works(demo, person, redirect_uri)
    });
    checks.check("userinfo answers under the same subject", || {
        let (application, Granted { tokens, claims }) = earlier(&signed_in)?;
        let info = application.user_info(tokens.access_token(), claims.subject())?;
        equal(info.subject(), claims.subject())
    });
    checks.check("consent is asked each time, so prompt=none gets consent_required", || {
        let (application, _) = earlier(&signed_in)?;
        consent_is_asked_each_time(application, person)
    });
    checks.check("a refresh rotates the token, and the old one is refused after the new one's use", || {
        let (application, granted) = earlier(&signed_in)?;
        refresh_rotates(application, demo, granted)
    });
    checks.check("without offline_access there is no refresh token", || {
        let (application, _) = earlier(&signed_in)?;
        no_refresh_token_without_offline_access(application, person)
    });
    checks.check("revoking the refresh token ends its access token for the API that asks", || {
        let (application, _) = earlier(&signed_in)?;
        revoking_ends_access(application, demo, person)
    });
}

fn code_flow_works(
    demo: &Demo,
    person: &mut Person<'_>,
    redirect_uri: &str,
) -> Result<(Application, Granted), Failure> {
    hold(redirect_uri != demo.redirect_uri, "the port is another")?;
    let application = Application::discover(&demo.issuer, &demo.public_client_id, None)?.returning_to(redirect_uri)?;
    let answer = application.ask(person, Ask::default())?;
    equal(&answer.callback.shown, &["sign-in", "consent"])?;
    let granted = application.redeem(&answer)?;
    let all = ["email", "notes:read", "notes:write", "offline_access", "openid", "profile"];
    equal(scopes_of(&granted.tokens), all)?;
    let audiences: Vec<&str> = granted.claims.audiences().iter().map(|audience| audience.as_str()).collect();
    equal(audiences, [demo.public_client_id.as_str()])?;
    equal(demo.get_notes(granted.tokens.access_token())?.status(), StatusCode::OK)?;
    Ok((application, granted))
}

fn consent_is_asked_each_time(application: &Application, person: &mut Person<'_>) -> Result<(), Failure> {
    let silent = application.ask(person, Ask { prompt: Some(CoreAuthPrompt::None), ..Ask::default() })?;
    hold(silent.callback.shown.is_empty(), "no page is shown")?;
    refused(application.redeem(&silent), "consent_required")
}

fn refresh_rotates(application: &Application, demo: &Demo, granted: &Granted) -> Result<(), Failure> {
    let first = present(granted.tokens.refresh_token(), "refresh token")?;
    let rotated = application.refresh(first)?;
    let second = present(rotated.refresh_token(), "refresh token")?;
    hold(second.secret() != first.secret(), "the refresh token is another")?;
    let repeated = application.refresh(first)?;
    equal(repeated.refresh_token().map(|token| token.secret()), Some(second.secret()))?;
    let used = application.refresh(second)?;
    equal(demo.get_notes(used.access_token())?.status(), StatusCode::OK)?;
    refused(application.refresh(first), "invalid_grant")?;
    refused(application.refresh(present(used.refresh_token(), "refresh token")?), "invalid_grant")
}

fn no_refresh_token_without_offline_access(application: &Application, person: &mut Person<'_>) -> Result<(), Failure> {
    let asked = Ask { scopes: &["notes:read"], ..Ask::default() };
    let brief = application.redeem(&application.ask(person, asked)?)?.tokens;
    equal(scopes_of(&brief), ["notes:read", "openid"])?;
    hold(brief.refresh_token().is_none(), "there is no refresh token")
}

fn revoking_ends_access(application: &Application, demo: &Demo, person: &mut Person<'_>) -> Result<(), Failure> {
    let api = Application::discover(&demo.issuer, &demo.api_client_id, Some(&demo.api_client_secret))?;
    let fresh = application.redeem(&application.ask(person, Ask::default())?)?.tokens;
    let refresh = present(fresh.refresh_token(), "refresh token")?;
    let seen = api.introspect(fresh.access_token())?;
    equal(seen.active(), true)?;
    equal(seen.client_id().map(|id| id.as_str()), Some(demo.public_client_id.as_str()))?;
    application.revoke(refresh)?;
    api.assert_inactive(fresh.access_token())?;
    refused(application.refresh(refresh), "invalid_grant")
}
