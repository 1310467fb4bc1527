//! Asking the issuer about an API key: `POST {key}` to its key verification endpoint, Doorward's own protocol.
//!
//! Easy to get wrong: the answer says for which API the key is. It is compared with ours, so that a credential of
//! another API that got into this guard's configuration can't open this one.

use std::{net::IpAddr, sync::Arc};

use doorward_core::{
    api::ResourceIdentifier, api_key::ApiKey, clock::Timestamp, denial::Denial, json, principal::Principal,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};

use super::{
    issuer::Issuer,
    trace_context::TraceContext,
    unavailable,
    verdict_cache::{Holds, Verdict as Found},
};

#[derive(Serialize)]
struct Question<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
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
}

const fn reusable() -> bool {
    true
}

/// Asks about one key that came from `client`.
pub(super) async fn look_up(
    issuer: &Arc<Issuer>,
    audience: &ResourceIdentifier,
    key: &ApiKey,
    client: Option<IpAddr>,
    trace: &TraceContext,
    now: Timestamp,
) -> Result<Found, Refusal> {
    let endpoints = issuer.endpoints(now).await?;
    let question = Question { key: key.reveal(), address: client.filter(|_| endpoints.takes_address) };
    let answer = issuer.client().post_json(endpoints.key_verification.clone(), &question, trace);
    let answer = answer.await.map_err(unavailable)?;
    read(&answer.body, audience, now).map_err(|refusal| answer.traced(refusal.fact("key", key.hint())))
}

fn read(answer: &[u8], audience: &ResourceIdentifier, now: Timestamp) -> Result<Found, Refusal> {
    let verdict: Verdict = json::parse_as(answer).map_err(|_| unavailable("the issuer's verdict can't be read"))?;
    if !verdict.valid {
        return Err(no(verdict.code.as_deref().unwrap_or_default()));
    }
    let principal = verdict.principal.ok_or_else(|| unavailable("the issuer's verdict names no principal"))?;
    if principal.audience != *audience {
        return Err(Refusal::new(Denial::KeyOfAnotherApi).fact("audience", &principal.audience));
    }
    if principal.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::KeyExpired.into());
    }
    let holds = if verdict.reusable { Holds::Moment } else { Holds::OneUse };
    Ok(Found { principal: Arc::new(principal), holds })
}

/// The refusal for the issuer's code. Only what can be said of a key is taken from outside.
fn no(code: &str) -> Refusal {
    use Denial::{
        KeyAddressNotAllowed, KeyDisabled, KeyExpired, KeyMistyped, KeyOfAnotherApi, KeyOwnerDisabled, KeyRevoked,
        KeyUnknown,
    };
    match Denial::from_code(code) {
        Some(
            denial @ (KeyAddressNotAllowed | KeyDisabled | KeyExpired | KeyMistyped | KeyOfAnotherApi
            | KeyOwnerDisabled | KeyRevoked | KeyUnknown),
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
