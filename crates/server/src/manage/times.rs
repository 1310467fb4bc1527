//! Times as views show them: RFC 3339, to the second.

use doorward_core::{clock::Timestamp, key_usage::Day};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A time in RFC 3339, to the second.
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs()).map_or_else(|_| at.as_secs().to_string(), |at| at.to_string())
}

/// Reads a time in RFC 3339.
pub fn read(text: &str) -> Result<Timestamp, InvalidTime> {
    let at = text.parse::<jiff::Timestamp>().map_err(|_| InvalidTime)?;
    Ok(Timestamp::from_millis(at.as_millisecond()))
}

/// A day in RFC 3339.
pub fn date(day: Day) -> String {
    rfc3339(Timestamp::from_secs(day.0 * 86_400)).chars().take_while(|c| *c != 'T').collect()
}

/// Reads a day in RFC 3339.
pub fn read_date(text: &str) -> Result<Day, InvalidDate> {
    let midnight = format!("{text}T00:00:00Z");
    match text.len() {
        10 => Ok(Day::of(read(&midnight).map_err(|_| InvalidDate)?)),
        _ => Err(InvalidDate),
    }
}

/// A text that is not a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a day of UTC, as in 2026-11-28")]
pub struct InvalidDate;

/// A text that is not a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a time with its zone, as in 2026-11-28T14:00:00Z")]
pub struct InvalidTime;

pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

pub(super) fn optional<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}

/// Reads a time in RFC 3339, or none.
pub(crate) fn deserialize_optional<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.map(|text| read(&text).map_err(D::Error::custom)).transpose()
}
