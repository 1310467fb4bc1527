//! Whether an answer is like the one that a page shows.
//!
//! Members and types are the same, and so are values, but for what differs each time: `…` in a text is any text, a number
//! that is a time since 2001 is any such time, and `"…"` at the end of a list is the rest of it.

use serde_json::Value;

/// What is different, with the path of the member; `None` if nothing is.
pub(crate) fn difference(shown: &Value, answered: &Value) -> Option<String> {
    at("", shown, answered)
}

fn at(path: &str, shown: &Value, answered: &Value) -> Option<String> {
    match (shown, answered) {
        (Value::Object(shown), Value::Object(answered)) => {
            let missing = shown.keys().find(|name| !answered.contains_key(*name));
            let unknown = answered.keys().find(|name| !shown.contains_key(*name));
            match (missing, unknown) {
                (Some(name), _) => Some(format!("{path}/{name} is not in the answer")),
                (None, Some(name)) => Some(format!("{path}/{name} is not on the page")),
                (None, None) => {
                    shown.iter().find_map(|(name, value)| at(&format!("{path}/{name}"), value, &answered[name]))
                }
            }
        }
        (Value::Array(shown), Value::Array(answered)) => {
            let (shown, is_open) = match shown.split_last() {
                Some((Value::String(rest), shown)) if rest == "…" && answered.len() >= shown.len() => (shown, true),
                _ => (&shown[..], false),
            };
            if !is_open && shown.len() != answered.len() {
                return Some(format!(
                    "{path} has {} elements on the page, {} in the answer",
                    shown.len(),
                    answered.len()
                ));
            }
            shown
                .iter()
                .zip(answered)
                .enumerate()
                .find_map(|(n, (shown, answered))| at(&format!("{path}/{n}"), shown, answered))
        }
        (Value::String(shown), Value::String(answered)) if is_like(shown, answered) => None,
        (Value::Number(_), Value::Number(_)) if is_time(shown) && is_time(answered) => None,
        _ if shown == answered => None,
        _ => Some(format!("{path} is {shown} on the page, {answered} in the answer")),
    }
}

fn is_time(number: &Value) -> bool {
    number.as_i64().is_some_and(|number| number >= 1_000_000_000)
}

/// Whether a text is the one shown, where `…` is any text.
pub(crate) fn is_like(shown: &str, answered: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = answered.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(between) = last.replace(part) {
            let Some(found) = rest.find(between) else { return false };
            rest = &rest[found + between.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[test]
fn only_what_differs_each_time_may_differ() {
    use serde_json::json;
    let shown = json!({"a": "key_…", "b": [1, "…"], "iat": 1_795_000_000, "c": {"d": true}, "e": "x…y…z"});
    let good = json!({"a": "key_1", "b": [1, 2, 3], "iat": 1_800_000_000, "c": {"d": true}, "e": "x1y2z"});
    assert_eq!(difference(&shown, &good), None);
    for (pointer, other) in [
        ("/a", json!("cli_1")),
        ("/b", json!([])),
        ("/b", json!([2])),
        ("/iat", json!(300)),
        ("/c", json!({"d": false})),
        ("/c", json!({})),
        ("/c", json!({"d": true, "e": 1})),
        ("/e", json!("x1z")),
        ("/e", json!("xyz1")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = other;
        assert!(difference(&shown, &bad).is_some_and(|told| told.starts_with(pointer)), "{bad}");
    }
}
