//! Reading a desired state: every mistake at once, each with its place.

use doorward_core::{
    api::ApiMetadata,
    desired_state::{DesiredClient, DesiredKey, DesiredRole, DesiredState},
    json::{Map, Value, json},
    refusal::Mistake,
    state_plan::Place,
};

use crate::{
    manage::document::{self, Document},
    settings::Settings,
};

impl Document for DesiredClient {}

impl Document for DesiredKey {
    fn smallest() -> Value {
        json!({"id": format!("key_{}", "0".repeat(32)), "name": "a"})
    }
}

impl Document for DesiredRole {
    fn smallest() -> Value {
        json!({"holder": "a", "api": "a", "role": "a"})
    }
}

/// Reads a desired state. Its mistakes have JSON pointers.
pub fn read(settings: &Settings, mut state: Map<String, Value>) -> Result<DesiredState, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let desired = DesiredState {
        api: list::<ApiMetadata>(settings, &mut state, "api", &mut mistakes),
        client: list(settings, &mut state, "client", &mut mistakes),
        role: list(settings, &mut state, "role", &mut mistakes),
        key: list(settings, &mut state, "key", &mut mistakes),
    };
    mistakes.extend(state.keys().map(|name| Mistake::at(name, "is unknown; known are api, client, key, role")));
    match mistakes.is_empty() {
        true => Ok(desired),
        false => Err(mistakes),
    }
}

fn list<T: Document>(
    settings: &Settings,
    state: &mut Map<String, Value>,
    kind: &'static str,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<T>> {
    let entries = match state.remove(kind) {
        None | Some(Value::Null) => return None,
        Some(Value::Array(entries)) => entries,
        Some(_) => {
            mistakes.push(Mistake::at(kind, format!("must be a list; in TOML write [[{kind}]] for each")));
            return None;
        }
    };
    let mut list = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let read = match entry {
            Value::Object(entry) => document::read(settings, entry),
            _ => Err(vec![Mistake::at("", "must be an object")]),
        };
        match read {
            Ok(entry) => list.push(entry),
            Err(wrong) => mistakes.extend(wrong.into_iter().map(|mistake| Place(kind, at).of(mistake))),
        }
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_every_entry_is_found_with_its_place() {
        let Value::Object(state) = json!({
            "api": [{"name": "notes", "identifier": "notes"}, 5],
            "client": [{"client_name": "App", "colour": "red", "client_id": "x"}],
            "role": {"holder": "ada"},
            "user": [],
        }) else {
            unreachable!()
        };
        let found = read(&Settings::new("https://id.example"), state).unwrap_err();
        let places: Vec<_> = found.iter().map(|mistake| mistake.pointer.as_str()).collect();
        let expected = ["/api/0/identifier", "/api/1", "/client/0/client_id", "/client/0/colour", "/role", "/user"];
        assert_eq!(places, expected, "{found:?}");
    }

    #[test]
    fn kind_that_is_absent_is_no_empty_list() {
        let read = |state: Value| match state {
            Value::Object(state) => super::read(&Settings::new("https://id.example"), state).unwrap(),
            _ => unreachable!(),
        };
        assert_eq!(read(json!({})), DesiredState::default());
        assert_eq!(read(json!({"api": []})).api, Some(Vec::new()));
    }
}
