//! A refusal as the operator sees it: what a guard delivers and `explain` prints.
//!
//! It holds no secret: the path without its query, the names of things, and the facts that the refusal gathered.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, credential, denial::Denial, refusal::Refusal, trace::TraceId};

/// One refused request, or several equal ones.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusalEvent {
    /// The trace id that the caller was given.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub trace_id: TraceId,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The operator's code of the denial.
    pub code: String,
    /// Where it happened: the API's identifier, or the issuer.
    pub at: String,
    /// The method of the request.
    pub method: String,
    /// The path of the request, without its query.
    pub path: String,
    /// The caller's address, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The principal, where one was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// What else is known of the case.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<String>>))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
    /// How many equal refusals the event represents: in a flood, one event reports many.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
}

const fn one() -> u32 {
    1
}

const fn is_one(count: &u32) -> bool {
    *count == 1
}

impl RefusalEvent {
    /// Longest path that is kept, in characters.
    pub const MAX_PATH: usize = 512;

    /// A method as events and logs have it: one word, without credentials, 16 characters at most.
    pub fn loggable_method(method: &str) -> String {
        credential::loggable_word(method).chars().take(16).collect()
    }

    /// A path as events and logs have it: one word, without its query and credentials, [`Self::MAX_PATH`] at most.
    pub fn loggable_path(path: &str) -> String {
        let path = path.split('?').next().unwrap_or_default();
        credential::loggable_word(path).chars().take(Self::MAX_PATH).collect()
    }

    /// The event of a refusal, with method and path as they may be logged.
    pub fn new(trace_id: TraceId, now: Timestamp, refusal: &Refusal, at: &str, method: &str, path: &str) -> Self {
        Self {
            trace_id,
            at_ms: now.as_millis(),
            code: refusal.denial.code().to_owned(),
            at: at.to_owned(),
            method: Self::loggable_method(method),
            path: Self::loggable_path(path),
            address: None,
            principal: None,
            facts: refusal.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            count: 1,
        }
    }

    /// The denial, if this program knows it.
    pub fn denial(&self) -> Option<Denial> {
        Denial::from_code(&self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(method: &str, path: &str) -> RefusalEvent {
        let trace_id = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        let refusal = Refusal::new(Denial::KeyUnknown).fact("hint", "sk_live_1234");
        RefusalEvent::new(trace_id, Timestamp::from_millis(7), &refusal, "https://api.example", method, path)
    }

    #[test]
    fn event_holds_no_query_and_no_credential_and_is_bounded() {
        let key = format!("sk_live_{}", "a".repeat(38));
        assert_eq!(event("GET", "/notes?token=x").path, "/notes");
        assert_eq!(event("GET", &format!("/keys/{key}")).path, "/keys/[credential]");
        assert_eq!(event("GET", &"/n".repeat(300)).path.len(), RefusalEvent::MAX_PATH);
        assert_eq!(event(&"X".repeat(17), "/").method, "X".repeat(16));
    }

    #[test]
    fn event_reads_back_and_counts_as_one_by_default() {
        let one = event("GET", "/notes");
        let written = serde_json::to_value(&one).unwrap();
        assert_eq!(
            written,
            json!({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "at_ms": 7, "code": Denial::KeyUnknown.code(),
                "at": "https://api.example", "method": "GET", "path": "/notes", "facts": [["hint", "sk_live_1234"]]})
        );
        assert_eq!(serde_json::from_value::<RefusalEvent>(written).unwrap(), one);
        let many = RefusalEvent { count: 3, ..one };
        assert_eq!(serde_json::to_value(&many).unwrap()["count"], 3);
        assert_eq!(many.denial(), Some(Denial::KeyUnknown));
        assert_eq!(RefusalEvent { code: "of_a_newer_program".into(), ..many }.denial(), None);
    }
}
