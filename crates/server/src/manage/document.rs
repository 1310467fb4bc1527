//! Documents that callers send: read by their schema, so that a caller learns every mistake at once, each with its place
//! and what would be accepted.

mod shape;

use std::collections::BTreeSet;

use doorward_core::{
    api::ApiMetadata,
    client_settings::ClientSettings,
    json::{Map, Value, json},
    refusal::Mistake,
    user::UserMetadata,
    webhook::WebhookMetadata,
};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use self::shape::{Part, Shape, unknown, within};

use crate::settings::Settings;

/// Something that a caller sends as a whole.
pub(crate) trait Document: DeserializeOwned + ToSchema {
    /// The smallest one that can be read. Each given member is tried in it by itself.
    fn smallest() -> Value {
        json!({})
    }

    /// The members whose default is in the configuration.
    fn defaults(_: &Settings) -> Map<String, Value> {
        Map::new()
    }
}

impl Document for ApiMetadata {
    fn defaults(settings: &Settings) -> Map<String, Value> {
        Map::from_iter([("access_token_ttl".to_owned(), settings.tokens.access_token_ttl.as_secs().into())])
    }

    fn smallest() -> Value {
        json!({"name": "a", "identifier": "urn:a"})
    }
}

impl Document for ClientSettings {}

impl Document for UserMetadata {
    fn smallest() -> Value {
        json!({"username": "a"})
    }
}

impl Document for WebhookMetadata {
    fn smallest() -> Value {
        json!({"url": "https://a"})
    }
}

/// Reads a body. A member that is `null` counts as absent.
pub(crate) fn read<T: Document>(settings: &Settings, body: Map<String, Value>) -> Result<T, Vec<Mistake>> {
    let shape = Shape::of::<T>();
    let members = shape.members();
    let given: Map<String, Value> = body.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let of_member = |(name, value): (&String, &Value)| match members.get(name) {
        Some(part) => mistakes_of_member::<T>(part, name, value),
        None => vec![Mistake::at("", unknown(members.names())).within(name)],
    };
    let mut mistakes: Vec<_> = given.iter().flat_map(of_member).collect();
    mistakes.extend(members.missing(&given));
    match mistakes.is_empty() {
        true => {
            let whole = T::defaults(settings).into_iter().chain(given).collect();
            T::deserialize(Value::Object(whole)).map_err(|error| vec![Mistake::at("", plain(&error))])
        }
        false => Err(mistakes),
    }
}

/// Reads the parameters of a query. Each is given once; a flag is `true` or `false`. `beside` are the names of
/// parameters that are read elsewhere.
pub(crate) fn read_query<T: Document>(pairs: Vec<(String, String)>, beside: &[&str]) -> Result<T, Vec<Mistake>> {
    let shape = Shape::of::<T>();
    let members = shape.members();
    let (mut given, mut mistakes) = (Map::new(), Vec::new());
    for (name, text) in pairs {
        let Some(part) = members.get(&name) else {
            let known: BTreeSet<_> = members.names().chain(beside.iter().copied()).collect();
            mistakes.push(Mistake::in_query(&name, unknown(known.into_iter())));
            continue;
        };
        if given.contains_key(&name) {
            mistakes.push(Mistake::in_query(&name, "is given more than once"));
            continue;
        }
        let as_text = Value::from(text.as_str());
        let values = [as_text.clone(), flag_or_number(&text)];
        match values.into_iter().find(|value| problem_with::<T>(&name, value.clone()).is_none()) {
            Some(value) => _ = given.insert(name, value),
            None => {
                let why = match part.must_be() {
                    Some("a text") | None => problem_with::<T>(&name, as_text).unwrap_or_default(),
                    Some(kind) => format!("must be {kind}"),
                };
                mistakes.push(Mistake::in_query(&name, why));
            }
        }
    }
    match mistakes.is_empty() {
        true => T::deserialize(Value::Object(given)).map_err(|error| vec![Mistake::in_query("", plain(&error))]),
        false => Err(mistakes),
    }
}

/// The document with a merge patch applied (RFC 7396 section 2).
pub(crate) fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, value) in patch {
        match value {
            Value::Null => _ = target.remove(name),
            value => {
                let before = target.remove(name).unwrap_or_default();
                target.insert(name.clone(), merged(before, value));
            }
        }
    }
    Value::Object(target)
}

/// The mistakes of a member: where its shape differs from the schema, or else why its value can't be read. Of a list,
/// each element is tried by itself.
fn mistakes_of_member<T: Document>(part: Part<'_>, name: &str, value: &Value) -> Vec<Mistake> {
    let tried = |value: Value| problem_with::<T>(name, value).map(|why| Mistake::at("", why));
    let mut mistakes = part.mistakes(value);
    if let (Some(element), Value::Array(elements)) = (part.element(), value) {
        let of_element = |(index, value): (usize, &Value)| {
            let mut mistakes = element.mistakes(value);
            if mistakes.is_empty() {
                mistakes.extend(tried(json!([value])));
            }
            within(&index.to_string(), mistakes)
        };
        mistakes = elements.iter().enumerate().flat_map(of_element).collect();
    }
    if mistakes.is_empty() {
        mistakes.extend(tried(value.clone()));
    }
    within(name, mistakes)
}

/// Why a member can't be read, if so.
fn problem_with<T: Document>(name: &str, value: Value) -> Option<String> {
    let mut document = T::smallest();
    document[name] = value;
    T::deserialize(document).err().map(|error| plain(&error))
}

/// An error of serde in words that don't need Rust to be understood.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if let Some(value) = text.strip_prefix("unknown variant ") {
        return format!("is an unknown value: {value}");
    }
    let wrong = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "));
    match wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("must be {}", without_rust(expected)),
        None => text,
    }
}

/// What serde expected.
fn without_rust(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" | "a borrowed string" | "string or map" => "a text",
        "a map" => "an object",
        "f32" | "f64" => "a number",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// A text of a query as the value that it may stand for.
fn flag_or_number(text: &str) -> Value {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        text => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(body: Value) -> Vec<(String, String)> {
        let Value::Object(body) = body else { unreachable!() };
        let found = read::<ApiMetadata>(&Settings::new("https://id.example"), body).err().unwrap_or_default();
        found.into_iter().map(|mistake| (mistake.pointer, mistake.detail)).collect()
    }

    #[test]
    fn every_mistake_is_found_at_once_with_its_place() {
        let found = mistakes(json!({
            "identifier": "notes", "access_token_ttl": "long", "colour": "red", "token_format": "xml",
            "scopes": [{"scope": "notes:read", "description": "Read"}, {"scope": "a b", "description": "x"}, 5],
        }));
        let places: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        let expected =
            ["/access_token_ttl", "/colour", "/identifier", "/scopes/1", "/scopes/2", "/token_format", "/name"];
        assert_eq!(places, expected, "{found:?}");
        let detail = |place: &str| &found.iter().find(|(pointer, _)| pointer == place).unwrap().1;
        assert!(detail("/colour").contains("known are access_token_ttl, identifier"));
        assert_eq!(detail("/access_token_ttl"), "is a text, but must be a whole number");
        assert_eq!(detail("/scopes/2"), "is a number, but must be an object");
        assert!(detail("/token_format").contains("`jwt`"));
        assert!(detail("/identifier").contains("absolute URI"));
        assert_eq!(detail("/name"), "is missing");
    }

    #[test]
    fn mistakes_below_the_first_level_have_their_own_places() {
        let found =
            mistakes(json!({"name": "a", "identifier": "urn:a", "roles": "editor", "access_token_ttl": -1, "scopes": [
                {"scope": "a:b", "description": "x", "colour": 1},
                {"scope": 5, "description": null},
                {"scope": ["a:c"], "description": "x", "a/b": 1},
                {"scope": "a:d", "description": "x"},
            ]}));
        let found: Vec<_> = found.iter().map(|(pointer, detail)| (pointer.as_str(), detail.as_str())).collect();
        let unknown = "is unknown; known are description, scope";
        let expected = [
            ("/access_token_ttl", "is negative, but must be a whole number"),
            ("/roles", "is a text, but must be a list"),
            ("/scopes/0/colour", unknown),
            ("/scopes/1/scope", "is a number, but must be a text"),
            ("/scopes/1/description", "is missing"),
            ("/scopes/2/a~1b", unknown),
            ("/scopes/2/scope", "is a list, but must be a text"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn members_of_a_jwk_are_free() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "colour": {"a": 1}});
        let set = json!({"keys": [jwk], "name": "ours"});
        let Value::Object(body) = json!({"client_name": "a", "jwks": set}) else { unreachable!() };
        assert!(read::<ClientSettings>(&Settings::new("https://id.example"), body).is_ok());
        let Value::Object(body) = json!({"jwks": {"colour": 1}}) else { unreachable!() };
        assert_eq!(
            read::<ClientSettings>(&Settings::new("https://id.example"), body).unwrap_err()[0].pointer,
            "/jwks/keys"
        );
    }

    #[test]
    fn whole_document_has_the_empty_pointer() {
        assert_eq!(Mistake::at("", "x").pointer, "");
        // RFC 6901 section 5: this is the member whose name is empty.
        assert_eq!(mistakes(json!({"name": "a", "identifier": "urn:a", "": 1}))[0].0, "/");
    }

    #[test]
    fn errors_of_serde_need_no_rust_to_be_understood() {
        fn said<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
            plain(&serde_json::from_value::<T>(value).unwrap_err())
        }
        assert_eq!(said::<usize>(json!("x")), "must be a whole number");
        assert_eq!(said::<u32>(json!(-1)), "must be a whole number");
        assert_eq!(said::<String>(json!([])), "must be a text");
        assert_eq!(said::<Vec<u8>>(json!("x, expected y")), "must be a list");
        assert_eq!(said::<Map<String, Value>>(json!(1)), "must be an object");
        assert_eq!(said::<bool>(json!(1)), "must be true or false");
    }

    #[test]
    fn null_counts_as_absent() {
        assert_eq!(mistakes(json!({"name": "a", "identifier": "urn:a", "roles": null})), []);
        assert_eq!(mistakes(json!({"name": null, "identifier": "urn:a"})).len(), 1);
    }

    #[test]
    fn merge_patch_does_what_the_rfc_shows() {
        // RFC 7396 appendix A.
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            assert_eq!(merged(target.clone(), &patch), result, "{target} {patch}");
        }
    }
}
