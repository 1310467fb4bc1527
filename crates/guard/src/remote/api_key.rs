//! Asking the issuer about an API key: `POST {key}` to its key verification endpoint, Doorward's own protocol.
//!
//! Easy to get wrong: the answer says for which API the key is. It is compared with ours, so that a credential of
//! another API that got into this guard's configuration can't open this one.

use std::{net::IpAddr, sync::Arc, time::Duration};

use doorward_core::{
    api::ResourceIdentifier,
    api_key::ApiKey,
    clock::Timestamp,
    denial::Denial,
    json,
    key_limits::LimitStates,
    principal::Principal,
    refusal::Refusal,
    scope::{Scope, ScopeSet},
};
use serde::{Deserialize, Serialize};

use super::{
    issuer::Issuer,
    trace_context::TraceContext,
    unavailable,
    verdict_cache::{Holds, Verdict as Found},
};
use crate::verifier::Verified;

#[derive(Serialize)]
struct Question<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    /// So that a key without them loses none of its uses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<&'a Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u64>,
}

/// A key, and how it is used.
pub(super) struct Asked {
    pub(super) key: ApiKey,
    /// Where it came from, if that is known.
    pub(super) client: Option<IpAddr>,
    /// The origin of the page that sent it, if one did.
    pub(super) origin: Option<String>,
    /// The scopes that the route always requires.
    pub(super) scopes: ScopeSet,
    /// How often the guard has used its own copy of the last verdict.
    pub(super) uses: u64,
}

/// What the issuer says about a key.
#[derive(Deserialize)]
struct Verdict {
    valid: bool,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    principal: Option<Principal>,
    /// Older issuers have no keys about which the next answer could differ.
    #[serde(default = "reusable")]
    reusable: bool,
    #[serde(default)]
    limits: LimitStates,
    /// Seconds.
    #[serde(default)]
    retry_after: Option<u64>,
}

const fn reusable() -> bool {
    true
}

/// Asks about one key.
pub(super) async fn look_up(
    issuer: &Arc<Issuer>,
    audience: &ResourceIdentifier,
    asked: &Asked,
    trace: &TraceContext,
    now: Timestamp,
) -> Result<Found, Refusal> {
    let endpoints = issuer.endpoints(now).await?;
    let key = &asked.key;
    let question = match endpoints.takes_address {
        true => Question {
            key: key.reveal(),
            address: asked.client,
            origin: asked.origin.as_deref().filter(|_| endpoints.takes_origin),
            scopes: asked.scopes.iter().collect(),
            uses: Some(asked.uses).filter(|uses| endpoints.takes_uses && *uses > 0),
        },
        false => Question { key: key.reveal(), address: None, origin: None, scopes: Vec::new(), uses: None },
    };
    let answer = issuer.client().post_json(endpoints.key_verification.clone(), &question, trace);
    let answer = answer.await.map_err(unavailable)?;
    read(&answer.body, audience, now).map_err(|refusal| answer.traced(refusal.fact("key", key.hint())))
}

fn read(answer: &[u8], audience: &ResourceIdentifier, now: Timestamp) -> Result<Found, Refusal> {
    let verdict: Verdict = json::parse_as(answer).map_err(|_| unavailable("the issuer's verdict can't be read"))?;
    let code = verdict.code.as_deref().unwrap_or_default();
    // A key that lacks a scope is known by its principal, which the guard compares with the route itself.
    let lacks_scope = code == Denial::InsufficientScope.code() && verdict.principal.is_some();
    if !verdict.valid && !lacks_scope {
        let refusal = no(code).limits(verdict.limits);
        return Err(match verdict.retry_after {
            Some(secs) => refusal.retry_after(Duration::from_secs(secs)),
            None => refusal,
        });
    }
    let principal = verdict.principal.ok_or_else(|| unavailable("the issuer's verdict names no principal"))?;
    if principal.audience != *audience {
        return Err(Refusal::new(Denial::KeyOfAnotherApi).fact("audience", &principal.audience));
    }
    if principal.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::KeyExpired.into());
    }
    let holds = if verdict.reusable { Holds::Moment } else { Holds::OneUse };
    Ok(Found { verified: Verified::from(Arc::new(principal)).with_limits(verdict.limits), holds })
}

/// The refusal for the issuer's code. Only what can be said of a key is taken from outside.
fn no(code: &str) -> Refusal {
    use Denial::{
        KeyAddressNotAllowed, KeyDisabled, KeyExpired, KeyMistyped, KeyOfAnotherApi, KeyOriginNotAllowed,
        KeyOwnerDisabled, KeyQuotaExhausted, KeyRateLimited, KeyRevoked, KeyUnknown, KeyUsesExhausted,
    };
    match Denial::from_code(code) {
        Some(
            denial @ (KeyAddressNotAllowed | KeyDisabled | KeyExpired | KeyMistyped | KeyOfAnotherApi
            | KeyOriginNotAllowed | KeyOwnerDisabled | KeyQuotaExhausted | KeyRateLimited | KeyRevoked
            | KeyUnknown | KeyUsesExhausted),
        ) => denial.into(),
        _ => Refusal::new(KeyUnknown).fact("verdict", code),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn denied(answer: &Value) -> Denial {
        let audience = ResourceIdentifier::parse("https://api.example").unwrap();
        read(answer.to_string().as_bytes(), &audience, NOW).map(|_| ()).unwrap_err().denial
    }

    fn principal(audience: &str, exp: i64) -> Value {
        json!({"kind": "key", "sub": "key_1", "credential": "api_key", "audience": audience, "scope": "", "exp": exp})
    }

    #[test]
    fn refusals_of_a_key_keep_known_reasons() {
        for (code, denial) in [
            ("key_revoked", Denial::KeyRevoked),
            ("key_expired", Denial::KeyExpired),
            ("key_address_not_allowed", Denial::KeyAddressNotAllowed),
            ("key_disabled", Denial::KeyDisabled),
            ("key_origin_not_allowed", Denial::KeyOriginNotAllowed),
            ("key_quota_exhausted", Denial::KeyQuotaExhausted),
            ("key_rate_limited", Denial::KeyRateLimited),
            ("key_uses_exhausted", Denial::KeyUsesExhausted),
            ("key_owner_disabled", Denial::KeyOwnerDisabled),
            ("key_of_another_api", Denial::KeyOfAnotherApi),
            ("not_found", Denial::KeyUnknown),
            ("a code of tomorrow", Denial::KeyUnknown),
        ] {
            assert_eq!(denied(&json!({"valid": false, "code": code})), denial, "{code}");
        }
        assert_eq!(denied(&json!({"valid": false})), Denial::KeyUnknown);
    }

    #[test]
    fn limits_and_waits_are_taken_from_the_answer() {
        let audience = ResourceIdentifier::parse("https://api.example").unwrap();
        let limits = json!({"rate_limit": {"requests": 5, "seconds": 60, "left": 0, "resets_in": 60}});
        let refused =
            json!({"valid": false, "code": "key_rate_limited", "reusable": false, "retry_after": 12, "limits": limits});
        let refusal = read(refused.to_string().as_bytes(), &audience, NOW).map(|_| ()).unwrap_err();
        assert_eq!((refusal.denial, refusal.retry_after_secs()), (Denial::KeyRateLimited, Some(12)));
        assert_eq!(json!(refusal.limits), limits);
        let end = NOW.as_secs() + 1;
        let admitted = json!({"valid": true, "reusable": false, "principal": principal("https://api.example", end), "limits": limits});
        let found = read(admitted.to_string().as_bytes(), &audience, NOW).unwrap();
        assert_eq!((json!(found.verified.limits.as_deref()), found.holds), (limits, Holds::OneUse));
    }

    #[test]
    fn key_that_lacks_a_scope_is_known_by_its_principal() {
        let audience = ResourceIdentifier::parse("https://api.example").unwrap();
        let answer = |principal: Value| {
            json!({"valid": false, "code": "insufficient_scope", "principal": principal}).to_string()
        };
        let end = NOW.as_secs() + 1;
        assert!(read(answer(principal("https://api.example", end)).as_bytes(), &audience, NOW).is_ok());
        let of_another = read(answer(principal("https://other.example", end)).as_bytes(), &audience, NOW);
        assert_eq!(of_another.map(|_| ()).unwrap_err().denial, Denial::KeyOfAnotherApi);
        assert_eq!(denied(&json!({"valid": false, "code": "insufficient_scope"})), Denial::KeyUnknown);
    }

    #[test]
    fn a_yes_counts_only_with_a_living_principal_of_this_api() {
        let end = NOW.as_secs() + 1;
        let yes = |principal: Value| denied(&json!({"valid": true, "principal": principal}));
        assert_eq!(yes(principal("https://other.example", end)), Denial::KeyOfAnotherApi);
        assert_eq!(yes(principal("https://api.example", NOW.as_secs())), Denial::KeyExpired);
        assert_eq!(denied(&json!({"valid": true})), Denial::VerifierUnavailable);
        assert_eq!(
            denied(&json!({"valid": "true", "principal": principal("https://api.example", end)})),
            Denial::VerifierUnavailable
        );
        assert_eq!(denied(&json!([true])), Denial::VerifierUnavailable);
    }
}
