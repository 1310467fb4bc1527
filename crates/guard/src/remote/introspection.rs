//! Asking the issuer about an opaque access token (RFC 7662).
//!
//! `active` is the issuer's word. This module still checks that the token is for this API, from this issuer and in its
//! time (section 4), and does not accept a bound token as a bearer token.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    access_token::AccessToken,
    api::ResourceIdentifier,
    clock::Timestamp,
    denial::Denial,
    json::{self, Value},
    principal::{CredentialKind, Principal},
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
};

use super::{
    issuer::Issuer,
    trace_context::TraceContext,
    unavailable,
    verdict_cache::{Holds, Verdict},
};

/// Asks about one token. The members of the answer are read as the claims of a JWT are (section 2.2), since it is the
/// same token in another form.
pub(super) async fn introspect(
    issuer: &Arc<Issuer>,
    audience: &ResourceIdentifier,
    token: &SecretString,
    trace: &TraceContext,
    skew: Duration,
    now: Timestamp,
) -> Result<Verdict, Refusal> {
    let endpoints = issuer.endpoints(now).await?;
    let endpoint = endpoints.introspection.clone();
    let endpoint = endpoint.ok_or_else(|| unavailable("the issuer has no introspection endpoint"))?;
    let form = [("token", token.expose_secret()), ("token_type_hint", "access_token")];
    let answer = issuer.client().post_form(endpoint, &form, trace).await.map_err(unavailable)?;
    let principal = read(&answer.body, issuer.url().as_str(), audience, skew, now);
    let verdict = |principal: Principal| Verdict { verified: Arc::new(principal).into(), holds: Holds::Moment };
    principal.map(verdict).map_err(|refusal| answer.traced(refusal))
}

fn read(
    answer: &[u8],
    issuer: &str,
    audience: &ResourceIdentifier,
    skew: Duration,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let answer = json::parse_object(answer).map_err(|_| unavailable("the issuer's answer can't be read"))?;
    match answer.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Err(Denial::TokenUnknown.into()),
        _ => return Err(unavailable("the issuer's answer does not say whether the token is active")),
    }
    if let Some(stated) = answer.get("iss").filter(|stated| *stated != issuer) {
        return Err(Refusal::new(Denial::TokenIssuerWrong).fact("iss", stated).fact("expected", issuer));
    }
    let token = AccessToken::from_claims(&answer)?;
    token.check_use(audience.as_str(), skew, now)?;
    Ok(Principal { credential: CredentialKind::AccessTokenOpaque, ..token.into_principal(audience.clone()) })
}

#[cfg(test)]
mod tests {
    use doorward_core::principal::PrincipalKind;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn with(change: Value) -> Result<Principal, Denial> {
        let mut answer = json!({"active": true, "iss": "https://issuer.example", "aud": "https://api.example",
            "sub": "usr_1", "client_id": "cli_1", "scope": "notes:read", "jti": "tok_1", "iat": 1_700_000_000, "exp": 1_700_000_300, "roles": ["admin"]});
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
                value => answer[name] = value.clone(),
            }
        }
        let audience = ResourceIdentifier::parse("https://api.example").unwrap();
        let skew = Duration::from_secs(30);
        read(answer.to_string().as_bytes(), "https://issuer.example", &audience, skew, NOW)
            .map_err(|refusal| refusal.denial)
    }

    #[test]
    fn an_active_token_is_a_principal() {
        let principal = with(json!({})).unwrap();
        assert_eq!(principal.kind, PrincipalKind::User);
        assert_eq!(principal.credential, CredentialKind::AccessTokenOpaque);
        assert_eq!(principal.credential_id.as_deref(), Some("tok_1"));
        assert_eq!(principal.scopes.to_string(), "notes:read");
        assert_eq!(with(json!({"sub": "cli_1"})).unwrap().kind, PrincipalKind::Client);
    }

    #[test]
    fn introspection_response_is_still_checked() {
        use Denial::*;
        for (change, denial) in [
            (json!({"active": false}), TokenUnknown),
            (json!({"active": "true"}), VerifierUnavailable),
            (json!({"active": null}), VerifierUnavailable),
            (json!({"iss": "https://other.example"}), TokenIssuerWrong),
            (json!({"aud": "https://other.example"}), TokenAudienceWrong),
            (json!({"aud": null}), TokenClaimsInvalid),
            (json!({"aud": [7]}), TokenClaimsInvalid),
            (json!({"exp": 1_699_999_970}), TokenExpired),
            (json!({"exp": null}), TokenClaimsInvalid),
            (json!({"nbf": 1_700_000_031}), TokenNotYetValid),
            (json!({"sub": null}), TokenClaimsInvalid),
            (json!({"roles": 7}), TokenClaimsInvalid),
            (json!({"scope": "a\"b"}), TokenClaimsInvalid),
            (json!({"cnf": {"jkt": "x"}}), TokenBindingUnproven),
        ] {
            assert_eq!(with(change.clone()), Err(denial), "{change}");
        }
        assert!(with(json!({"aud": ["https://issuer.example", "https://api.example"], "iss": null})).is_ok());
    }
}
