//! A refusal as the caller sees it: a problem document (RFC 9457) with the challenge of RFC 6750 and RFC 9728.
//!
//! It contains only the denial's public face, the part of the route's requirement that is not met, and the trace id.
//! The other facts go only to the audit.

use bytes::Bytes;
use doorward_core::{api::Role, challenge, key_limits::LimitStates, refusal::Refusal, scope::Scope, trace::TraceId};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

/// A refused request, ready to become a response.
#[derive(Debug)]
pub struct Problem {
    refusal: Box<Refusal>,
    trace_id: TraceId,
    page: String,
    challenge: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'a str,
    trace_id: TraceId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required_scopes: Vec<&'a Scope>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required_roles: Vec<&'a Role>,
    #[serde(flatten)]
    extensions: Option<&'a Map<String, Value>>,
}

impl Problem {
    /// The response for a refusal. `issuer` serves the page about it, and `resource_metadata` is the URL of the API's
    /// metadata (RFC 9728 section 5.1). This does not report to the audit: a guard reports a refusal before it returns
    /// the problem.
    pub fn new(refusal: Refusal, trace_id: TraceId, issuer: &str, resource_metadata: Option<&str>) -> Self {
        let challenge = challenge::bearer(&refusal, resource_metadata);
        Self { page: refusal.denial.page(issuer), refusal: Box::new(refusal), trace_id, challenge }
    }

    /// Why the request was refused. Its facts are for the operator, not for the caller.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The id that the caller gives to the operator.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The response, with any body type that implements `From<Bytes>`.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let denial = self.refusal.denial;
        let detail = self.refusal.sentence();
        let document = Document {
            kind: &self.page,
            title: title(denial.shown_as()),
            status: denial.status(),
            detail: &detail,
            code: denial.shown_as(),
            trace_id: self.trace_id,
            required_scopes: self.refusal.required_scopes.iter().flat_map(|scopes| scopes.iter()).collect(),
            required_roles: self.refusal.required_roles.iter().collect(),
            extensions: self.refusal.extensions.as_deref(),
        };
        let body = serde_json::to_vec(&document).expect("a document of texts and a number is JSON");
        let mut response = Response::new(B::from(body.into()));
        *response.status_mut() = StatusCode::from_u16(denial.status()).expect("a denial's status is one of HTTP's");
        let mut set = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
        set(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            set(header::WWW_AUTHENTICATE, HeaderValue::try_from(challenge).expect("a challenge is printable ASCII"));
        }
        if let Some(secs) = self.refusal.retry_after_secs() {
            set(header::RETRY_AFTER, secs.into());
        }
        if let Some(limits) = &self.refusal.limits {
            add_limits(limits, response.headers_mut());
        }
        response
    }
}

/// Adds the limits of the caller's key. What the API says of its own limits stays.
pub(crate) fn add_limits(limits: &LimitStates, headers: &mut HeaderMap) {
    for (name, value) in limits.headers() {
        let value = HeaderValue::try_from(value).expect("names and numbers are printable ASCII");
        headers.entry(name).or_insert(value);
    }
}

/// The title, the same for each occurrence of a type (RFC 9457 section 3.1.4): the code in words.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let (first, rest) = words.split_at(words.len().min(1));
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use doorward_core::{
        clock::Timestamp,
        denial::Denial,
        key_limits::{LimitState, Limited},
        random::SeededRng,
        scope::ScopeSet,
    };
    use serde_json::{Value, json};

    use super::*;

    fn answer(refusal: Refusal) -> (Response<Bytes>, Value) {
        let trace_id = TraceId::new(Timestamp::from_secs(1_700_000_000), &SeededRng::new(1));
        let response: Response<Bytes> = Problem::new(refusal, trace_id, "https://issuer.example", None).into_response();
        let document = serde_json::from_slice(response.body()).unwrap();
        (response, document)
    }

    #[test]
    fn every_denials_response_has_its_public_face_and_no_fact() {
        for denial in Denial::ALL {
            let (response, document) = answer(Refusal::new(*denial).fact("name", "canary-7f3a"));
            assert_eq!(response.status().as_u16(), denial.status());
            assert_eq!(document["status"], denial.status());
            assert_eq!(document["code"], denial.shown_as());
            assert_eq!(document["detail"], denial.sentence());
            assert!(!document.to_string().contains("canary-7f3a"));
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }

    #[test]
    fn a_key_of_another_api_is_shown_as_an_unknown_one() {
        let (_, document) = answer(Denial::KeyOfAnotherApi.into());
        assert_eq!(document["type"], "https://issuer.example/denials/key_unknown");
        assert_eq!(document["title"], "Key unknown");
    }

    #[test]
    fn required_scopes_and_roles_are_members_of_the_problem() {
        let scopes = ScopeSet::parse("notes:read notes:write").unwrap();
        let (_, document) = answer(Refusal::new(Denial::InsufficientScope).required_scopes(scopes));
        assert_eq!(document["required_scopes"], json!(["notes:read", "notes:write"]));
        let roles = [Role::parse("admin").unwrap()].into();
        let (_, document) = answer(Refusal::new(Denial::InsufficientPermission).required_roles(roles));
        assert_eq!(document["required_roles"], json!(["admin"]));
        let (_, document) = answer(Denial::KeyRevoked.into());
        assert!(document.get("required_scopes").is_none() && document.get("required_roles").is_none());
    }

    #[test]
    fn limits_of_a_key_are_headers_and_no_members() {
        let state = LimitState { left: 0, resets_in: Some(9) };
        let quota = Some(Limited { requests: 5, seconds: Some(86_400), state });
        let refusal = Refusal::new(Denial::KeyQuotaExhausted).limits(LimitStates { quota, ..LimitStates::default() });
        let (response, document) = answer(refusal.retry_after(Duration::from_secs(9)));
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"9".try_into().unwrap()));
        assert_eq!(response.headers()["ratelimit-policy"], "\"quota\";q=5;w=86400");
        assert_eq!(response.headers()["ratelimit"], "\"quota\";r=0;t=9");
        assert!(document.get("limits").is_none());
    }

    #[test]
    fn a_wait_is_said_in_whole_seconds() {
        let refusal = Refusal::new(Denial::VerifierUnavailable).retry_after(Duration::from_millis(1_200));
        let (response, _) = answer(refusal);
        assert_eq!(response.headers()["retry-after"], "2");
        assert!(response.headers().get("www-authenticate").is_none());
    }
}
