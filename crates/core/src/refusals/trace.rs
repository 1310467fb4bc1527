//! Trace ids (W3C Trace Context, section 3.2.2.3): what a refused caller gives to the operator.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    random::{self, Rng},
};

/// The header that names a trace ID in a response that is not a refusal: the issuer rejects a key or a token, and the
/// API refuses the caller. The issuer's audit log has its cause under this id.
pub const ISSUER_TRACE_HEADER: &str = "doorward-trace-id";

/// The fact by which an API's refusal names the issuer's.
pub const ISSUER_TRACE_FACT: &str = "issuer_trace_id";

/// 16 bytes, written as 32 lower-case hexadecimal digits; never all zero.
#[derive(Clone, Copy, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(u128);

/// A text that is not a trace id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a trace id is 32 hexadecimal digits, not all zero")]
pub struct InvalidTraceId;

impl TraceId {
    /// A new trace id for a request that came at `now`: its milliseconds in the first 6 bytes, so that the audit is
    /// indexed where it grows, then 10 random bytes (the standard asks for 7 random ones at the end).
    pub fn new(now: Timestamp, rng: &dyn Rng) -> Self {
        let mut bytes: [u8; 16] = random::public_bytes(rng);
        bytes[..6].copy_from_slice(&now.as_millis().to_be_bytes()[2..]);
        Self(u128::from_be_bytes(bytes).max(1))
    }

    /// Reads a trace id.
    pub fn parse(text: &str) -> Result<Self, InvalidTraceId> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(InvalidTraceId);
        }
        match u128::from_str_radix(text, 16) {
            Ok(0) | Err(_) => Err(InvalidTraceId),
            Ok(id) => Ok(Self(id)),
        }
    }

    /// Reads a trace id as people hand it on: in upper case, with dashes between its digits as in a UUID, or inside a whole
    /// `traceparent`.
    pub fn read(text: &str) -> Result<Self, InvalidTraceId> {
        let text = text.trim().to_ascii_lowercase();
        match Self::from_traceparent(&text) {
            Some(id) => Ok(id),
            None => Self::parse(&text.replace('-', "")),
        }
    }

    /// When the id was created, if [`TraceId::new`] created it. The id of another program can give any time.
    pub fn made_at(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
    }

    /// The trace id inside a `traceparent` header: `00-{trace id}-{parent id}-{flags}`; a later version may append.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let version = parts.next().filter(|v| v.len() == 2 && *v != "ff")?;
        let id = Self::parse(parts.next()?).ok()?;
        let lengths_hold = parts.next()?.len() == 16 && parts.next()?.len() == 2;
        (lengths_hold && (version != "00" || parts.next().is_none())).then_some(id)
    }
}

impl TryFrom<String> for TraceId {
    type Error = InvalidTraceId;
    fn try_from(text: String) -> Result<Self, InvalidTraceId> {
        Self::parse(&text)
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn new_ids_differ_and_begin_with_their_time() {
        let rng = SeededRng::new(1);
        let new = |millis| TraceId::new(Timestamp::from_millis(millis), &rng).to_string();
        let (first, second) = (new(0x0123_4567_89ab), new(0x0123_4567_89ab));
        assert!(first.starts_with("0123456789ab") && second.starts_with("0123456789ab"));
        assert_ne!(first, second);
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceId::from_traceparent(header).unwrap().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn id_is_read_in_each_form_in_which_people_hand_it_on() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for text in [
            id,
            " 4BF92F3577B34DA6A3CE929D0E0E4736\n",
            "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        ] {
            assert_eq!(TraceId::read(text).unwrap().to_string(), id, "{text}");
        }
        for bad in ["", "not-a-trace", "4bf92f35", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(TraceId::read(bad), Err(InvalidTraceId), "{bad}");
        }
    }

    #[test]
    fn new_id_contains_its_creation_time() {
        let now = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(TraceId::new(now, &SeededRng::new(1)).made_at(), now);
    }

    #[test]
    fn broken_headers_give_none() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
        ] {
            assert_eq!(TraceId::from_traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn traceparent_of_a_later_version_may_append() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |header: String| TraceId::from_traceparent(&header).map(|id| id.to_string());
        assert_eq!(read(format!("01-{id}-00f067aa0ba902b7-01-more")).as_deref(), Some(id));
        for bad in [
            format!("0-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-00f067aa0ba902b-01"),
            format!("00-{id}-00f067aa0ba902b7-1"),
            format!("00-{}-00f067aa0ba902b7-01", &id[1..]),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn id_is_written_as_text_and_reads_back() {
        let id = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        let written = serde_json::to_string(&id).unwrap();
        assert_eq!(written, format!("\"{id:?}\""));
        assert_eq!(serde_json::from_str::<TraceId>(&written).unwrap(), id);
        assert_eq!(serde_json::from_str::<TraceId>("\"x\"").ok(), None);
        assert_eq!(TraceId::parse(&"g".repeat(32)), Err(InvalidTraceId));
    }
}
