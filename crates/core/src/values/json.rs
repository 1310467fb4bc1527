//! JSON from outside, read strictly: no name twice, bounded depth, integers that are exact.
//!
//! `serde_json` keeps the last of two equal names, and two parsers that keep different ones disagree about who a token
//! is for (RFC 8725 section 2.4 and RFC 7515 section 4 want unique names). Numbers beyond 2^53 are refused, since
//! other languages round them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
pub use serde_json::{Map, Value, json};

/// How deep objects and arrays may nest in anything that comes from outside.
pub const MAX_DEPTH: usize = 16;

const MAX_SAFE_INTEGER: u64 = 1 << 53;

/// Bytes that are not the JSON that we read.
#[derive(Debug, thiserror::Error)]
#[error("not acceptable JSON: {0}")]
pub struct InvalidJson(serde_json::Error);

/// Reads one JSON value: UTF-8, no duplicate names, no deeper than [`MAX_DEPTH`], nothing behind it.
pub fn parse(bytes: &[u8]) -> Result<Value, InvalidJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: MAX_DEPTH }.deserialize(&mut deserializer).map_err(InvalidJson)?;
    deserializer.end().map_err(InvalidJson)?;
    Ok(value)
}

/// Reads one JSON object, as [`parse`] does.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, InvalidJson> {
    match parse(bytes)? {
        Value::Object(object) => Ok(object),
        _ => Err(InvalidJson(serde_json::Error::custom("an object was expected"))),
    }
}

/// Reads a typed value from JSON, as [`parse`] does.
pub fn parse_as<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidJson> {
    serde_json::from_value(parse(bytes)?).map_err(InvalidJson)
}

struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_SAFE_INTEGER {
            return Err(E::custom("a number is out of range"));
        }
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_SAFE_INTEGER {
            return Err(E::custom("a number is out of range"));
        }
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if !value.is_finite() || value.abs() > MAX_SAFE_INTEGER as f64 {
            return Err(E::custom("a number is out of range"));
        }
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| A::Error::custom("nested too deeply"))?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict { depth })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| A::Error::custom("nested too deeply"))?;
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict { depth })?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_name_is_refused_at_any_depth() {
        assert!(parse(br#"{"aud":"a","aud":"b"}"#).is_err());
        assert!(parse(br#"[{"x":{"a":1,"a":1}}]"#).is_err());
        assert!(parse(br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(parse(&nested(MAX_DEPTH + 1)).is_err());
        assert!(parse(&nested(1_000_000)).is_err());
    }

    #[test]
    fn numbers_that_others_would_round_are_refused() {
        assert!(parse(b"9007199254740993").is_err());
        assert!(parse(b"1e300").is_err());
        assert!(parse(b"NaN").is_err());
        assert_eq!(parse(b"1300819380").unwrap(), 1_300_819_380);
    }

    #[test]
    fn bytes_behind_the_value_and_broken_utf8_are_refused() {
        assert!(parse(b"{} {}").is_err());
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = r#"{"a":[null,true,-1,1,1.5,"x","\n"]}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), json!({"a": [null, true, -1, 1, 1.5, "x", "\n"]}));
        assert!(parse_object(b"[]").is_err());
        assert_eq!(parse_as::<Vec<u8>>(b"[1]").unwrap(), [1]);
        assert!(parse_as::<Vec<u8>>(b"[-1]").is_err());
    }

    #[test]
    fn largest_exact_integers_are_read_and_no_larger_ones() {
        for good in ["9007199254740992", "-9007199254740992", "9007199254740992.0"] {
            assert!(parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["9007199254740993", "-9007199254740993", "9007199254740994.0", "-1e300"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
