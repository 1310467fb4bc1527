//! Replacing the metadata in a row by metadata that somebody changed after reading it (RFC 9110 section 13.1.1).
//!
//! The caller names the metadata that the change started from. If the row has other metadata by now, nothing is written:
//! the change of somebody else would be lost.
//!
//! Easy to get wrong: a newer program may have stored members that this one does not know. They stay, at every depth, so
//! the new JSON is the stored one with the differences between `from` and `to` applied.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};

use crate::tx::{Row, TxError, Value};

/// The outcome of an update that names the metadata it started from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updated {
    /// Somebody else changed the metadata meanwhile. Nothing was written.
    Changed,
    /// The row has the new metadata.
    Done,
    /// There is no such row.
    Unknown,
}

/// New metadata for a row.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// The JSON to store.
    pub(crate) metadata: Value,
    /// The names of the members that differ, with spaces between; empty if none does. For the audit, which has no
    /// values.
    pub(crate) members: String,
}

impl Replacement {
    /// Names a member that changes although what is stored of it stays.
    pub(crate) fn add(&mut self, member: &str) {
        if !self.members.split(' ').any(|known| known == member) {
            self.members = format!("{} {member}", self.members).trim().to_owned();
        }
    }
}

/// Reads the next column, which has stored metadata, and replaces it by `to`. Returns `None` if it is not `from` any more.
/// The caller must have locked the row.
pub(crate) fn replace_metadata<T: DeserializeOwned + PartialEq + Serialize>(
    row: &mut Row,
    from: &T,
    to: &T,
) -> Result<Option<Replacement>, TxError> {
    let stored: Json = row.json()?;
    let known: T = T::deserialize(&stored).map_err(|_| row.unreadable())?;
    Ok((known == *from).then(|| {
        let (from, to) = (as_json(from), as_json(to));
        let members = differing_members(&from, &to);
        Replacement { metadata: merge(stored, &from, &to).to_string().into(), members }
    }))
}

fn as_json(metadata: &impl Serialize) -> Json {
    serde_json::to_value(metadata).expect("metadata is JSON")
}

fn differing_members(from: &Json, to: &Json) -> String {
    let none = Map::new();
    let members = |value: &Json| value.as_object().unwrap_or(&none).clone();
    let (from, mut to) = (members(from), members(to));
    for (member, value) in from {
        match to.get(&member) {
            Some(same) if *same == value => drop(to.remove(&member)),
            Some(_) => {}
            None => drop(to.insert(member, value)),
        }
    }
    to.into_iter().map(|(member, _)| member).collect::<Vec<_>>().join(" ")
}

/// What is stored, changed as `to` differs from `from`.
fn merge(stored: Json, from: &Json, to: &Json) -> Json {
    match (stored, from, to) {
        (stored, from, to) if from == to => stored,
        (Json::Object(mut stored), Json::Object(from), Json::Object(to)) => {
            stored.retain(|member, _| to.contains_key(member) || !from.contains_key(member));
            for (member, new) in to {
                let merged = match (stored.remove(member), from.get(member)) {
                    (Some(stored), Some(old)) => merge(stored, old, new),
                    _ => new.clone(),
                };
                stored.insert(member.clone(), merged);
            }
            Json::Object(stored)
        }
        (Json::Array(stored), Json::Array(from), Json::Array(to)) if stored.len() == from.len() => {
            let merged = |new: &Json| match from.iter().position(|old| is_same_thing(old, new)) {
                Some(at) => merge(stored[at].clone(), &from[at], new),
                None => new.clone(),
            };
            Json::Array(to.iter().map(merged).collect())
        }
        (_, _, to) => to.clone(),
    }
}

/// Whether two elements of a list are one thing, maybe changed: scopes are known by their name.
fn is_same_thing(old: &Json, new: &Json) -> bool {
    old == new || old.get("scope").is_some_and(|name| new.get("scope") == Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_members_stay_at_every_depth() {
        let from = json!({"name": "notes", "scopes": [{"scope": "a", "description": "A"}, {"scope": "b", "description": "B"}]});
        let mut stored = from.clone();
        stored["of_tomorrow"] = json!([1]);
        stored["scopes"][1]["risk"] = json!("high");
        let to = json!({"name": "notes", "scopes": [
            {"scope": "b", "description": "Write"}, {"scope": "c", "description": "C"}]});
        let expected = json!({"name": "notes", "of_tomorrow": [1], "scopes": [
            {"scope": "b", "description": "Write", "risk": "high"}, {"scope": "c", "description": "C"}]});
        assert_eq!(merge(stored, &from, &to), expected);
    }

    #[test]
    fn members_that_are_no_longer_said_are_removed() {
        let (from, to) = (json!({"name": "a", "uri": "b"}), json!({"name": "a"}));
        assert_eq!(merge(json!({"name": "a", "uri": "b", "new": 1}), &from, &to), json!({"name": "a", "new": 1}));
    }

    #[test]
    fn members_that_differ_are_named_without_values() {
        let (from, to) = (json!({"a": 1, "b": 2, "c": 3}), json!({"a": 1, "b": 7, "d": 4}));
        assert_eq!(differing_members(&from, &to), "b c d");
        assert_eq!(differing_members(&from, &from), "");
    }
}
