//! The schemas of bodies, in the finished description: what is sent, what changes it, and what is answered differ, though
//! one type is behind all three.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Where the schemas are, and how others name them.
const SCHEMAS: &str = "/components/schemas";

/// Writes each schema out by itself: generators of clients understand one object better than parts that are put together.
/// What callers send allows no other members, and needs none that has a default. Its merge patch (RFC 7396) needs none at
/// all, and each may be `null`.
pub(super) fn tell_apart(document: &mut Value) {
    let Some(Value::Object(schemas)) = document.pointer(SCHEMAS).cloned() else { return };
    let (sent, patched) = (named_by(document, "application/json"), named_by(document, "application/merge-patch+json"));
    let is_sent = |name: &String| sent.contains(name) || patched.contains(name);
    let written = schemas.iter().map(|(name, schema)| (name.clone(), flattened(schema, &schemas, is_sent(name))));
    let mut written: Map<String, Value> = written.collect();
    for name in &patched {
        written.insert(format!("{name}Patch"), patch_of(&written[name]));
    }
    for name in sent.union(&patched) {
        if let Some(Value::Object(schema)) = written.get_mut(name) {
            members(schema).for_each(say_default);
        }
    }
    close(&mut written, sent.union(&patched).flat_map(|name| [name.clone(), format!("{name}Patch")]).collect());
    document["components"]["schemas"] = Value::Object(written);
    for content in bodies(document, "application/merge-patch+json") {
        if let Some(name) = referenced(&content["schema"]) {
            content["schema"] = json!({"$ref": format!("#{SCHEMAS}/{name}Patch")});
        }
    }
    drop_mere_parts(document);
}

/// Leaves out the schemas that were only parts of others.
fn drop_mere_parts(document: &mut Value) {
    loop {
        let mut named = BTreeSet::new();
        note_references(document, &mut named);
        let Some(Value::Object(schemas)) = document.pointer_mut(SCHEMAS) else { return };
        let before = schemas.len();
        schemas.retain(|name, _| named.contains(name));
        if schemas.len() == before {
            return;
        }
    }
}

fn note_references(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| note_references(item, named)),
        Value::Object(members) => {
            named.extend(referenced(value));
            members.values().for_each(|member| note_references(member, named));
        }
        _ => {}
    }
}

/// A schema in which each object that is put together from parts is one.
fn flattened(schema: &Value, schemas: &Map<String, Value>, is_sent: bool) -> Value {
    let parts = match schema {
        Value::Array(items) => return items.iter().map(|item| flattened(item, schemas, is_sent)).collect(),
        Value::Object(members) => match members.get("allOf").and_then(Value::as_array) {
            Some(parts) => parts,
            None => {
                let written = members.iter().map(|(name, member)| (name.clone(), flattened(member, schemas, is_sent)));
                return Value::Object(written.collect());
            }
        },
        other => return other.clone(),
    };
    let mut whole = schema.clone();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let part = referenced(part).and_then(|name| schemas.get(&name)).unwrap_or(part);
        let part = flattened(part, schemas, is_sent);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    // What is answered has all members that have a default, except for those that may be absent.
    for (name, member) in &mut properties {
        if !is_sent
            && let Some(member) = member.as_object_mut()
            && let Some(default) = member.remove("default")
            && !default.is_null()
        {
            required.push(name.as_str().into());
        }
    }
    if let Some(whole) = whole.as_object_mut() {
        whole.remove("allOf");
        whole.insert("type".to_owned(), "object".into());
        whole.insert("properties".to_owned(), Value::Object(properties));
        whole.insert("required".to_owned(), Value::Array(required));
    }
    whole
}

/// Allows no other members in these schemas and in what is below them. What says itself which others it has stays so.
fn close(schemas: &mut Map<String, Value>, names: BTreeSet<String>) {
    let (mut left, mut closed): (Vec<_>, _) = (names.into_iter().collect(), BTreeSet::new());
    while let Some(name) = left.pop() {
        if let Some(schema) = schemas.get_mut(&name).filter(|_| closed.insert(name)) {
            close_one(schema, &mut left);
        }
    }
}

/// Closes a schema, and notes which others are below it.
fn close_one(schema: &mut Value, below: &mut Vec<String>) {
    below.extend(referenced(schema));
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.contains_key("properties") {
        schema.entry("additionalProperties").or_insert(false.into());
    }
    members(schema).for_each(|member| close_one(member, below));
    for (_, inner) in schema.iter_mut().filter(|(name, _)| matches!(name.as_str(), "items" | "additionalProperties")) {
        close_one(inner, below);
    }
    for choice in ["anyOf", "oneOf"] {
        let choice = schema.get_mut(choice).and_then(Value::as_array_mut).into_iter().flatten();
        choice.for_each(|schema| close_one(schema, below));
    }
}

fn patch_of(schema: &Value) -> Value {
    let mut patch = schema.clone();
    if let Some(patch) = patch.as_object_mut() {
        patch.remove("required");
        for member in members(patch) {
            say_default(member);
            if let Some(member) = member.as_object_mut() {
                let description = member.remove("description");
                let before = Value::Object(std::mem::take(member));
                member.insert("anyOf".to_owned(), json!([before, {"type": "null"}]));
                member.extend(description.map(|description| ("description".to_owned(), description)));
            }
        }
    }
    patch
}

fn members(schema: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

/// Moves a default into the words: generators make a member that has one a member that must be sent.
fn say_default(member: &mut Value) {
    let Some(member) = member.as_object_mut() else { return };
    let Some(default) = member.remove("default") else { return };
    let is_empty = match &default {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if !is_empty {
        let words = member.get("description").and_then(Value::as_str).unwrap_or_default();
        let words = format!("{words} Default: `{}`.", default.to_string().trim_matches('"'));
        member.insert("description".to_owned(), words.trim().into());
    }
}

/// The contents of requests with this type.
fn bodies<'a>(document: &'a mut Value, content_type: &'a str) -> impl Iterator<Item = &'a mut Value> {
    let items = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    let operations = items.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    operations.filter_map(move |operation| operation.pointer_mut("/requestBody/content")?.get_mut(content_type))
}

/// The schemas that requests with this type name.
fn named_by(document: &mut Value, content_type: &str) -> BTreeSet<String> {
    bodies(document, content_type).filter_map(|content| referenced(&content["schema"])).collect()
}

fn referenced(schema: &Value) -> Option<String> {
    schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_apart() -> Value {
        let named = |name: &str| json!({"schema": {"$ref": format!("#{SCHEMAS}/{name}")}});
        let path = |content_type: &str, name: &str| {
            let answers = json!({"200": {"content": {"application/json": named("Thing")}},
                "default": {"content": {"application/json": named("List_Thing")}}});
            json!({"requestBody": {"content": {content_type: named(name)}}, "responses": answers})
        };
        let mut document = json!({
            "paths": {"/v1/things": {
                "post": path("application/json", "ThingMetadata"),
                "patch": path("application/merge-patch+json", "ThingMetadata"),
                "put": path("application/json", "NamedThing"),
            }},
            "components": {"schemas": {
                "ThingMetadata": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "size": {"type": "integer", "default": 3, "description": "How big."},
                    "link": {"type": ["string", "null"], "default": null},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                    "free": {"oneOf": [{"$ref": "#/components/schemas/Free"}, {"type": "null"}]}}},
                "Part": {"type": "object", "properties": {"inner": {"type": "object", "properties": {"a": {"type": "string"}}}}},
                "Free": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true},
                "List_Thing": {"type": "object", "properties": {"items": {"type": "array", "items": {
                    "allOf": [{"$ref": "#/components/schemas/ThingMetadata"}]}}}},
                "NamedThing": {"allOf": [{"$ref": "#/components/schemas/Mere"},
                    {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}]},
                "Mere": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
                "Thing": {"allOf": [{"$ref": "#/components/schemas/ThingMetadata"},
                    {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}]},
            }},
        });
        tell_apart(&mut document);
        document
    }

    #[test]
    fn bodies_need_no_member_with_a_default_and_allow_no_other() {
        let document = told_apart();
        let sent = &document["components"]["schemas"]["ThingMetadata"];
        assert_eq!((&sent["required"], &sent["additionalProperties"]), (&json!(["name"]), &json!(false)));
        assert_eq!(sent["properties"]["size"], json!({"type": "integer", "description": "How big. Default: `3`."}));
    }

    #[test]
    fn body_of_parts_is_one_object_and_the_parts_are_left_out() {
        let schemas = told_apart()["components"]["schemas"].clone();
        let sent = &schemas["NamedThing"];
        assert_eq!((&sent["required"], &sent["additionalProperties"]), (&json!(["to"]), &json!(false)));
        assert_eq!(sent["properties"]["size"], json!({"type": "integer", "description": "Default: `3`."}));
        assert_eq!(schemas.get("Mere"), None);
    }

    #[test]
    fn what_is_below_a_body_allows_no_other_members_either() {
        let schemas = told_apart()["components"]["schemas"].clone();
        assert_eq!(schemas["Part"]["additionalProperties"], false);
        assert_eq!(schemas["Part"]["properties"]["inner"]["additionalProperties"], false);
        assert_eq!(schemas["ThingMetadataPatch"]["additionalProperties"], false);
        // What is free says so, and answers may get more members.
        assert_eq!(schemas["Free"]["additionalProperties"], true);
        assert_eq!(schemas["Thing"].get("additionalProperties"), None);
    }

    #[test]
    fn merge_patch_needs_nothing_and_removes_by_null() {
        let document = told_apart();
        let patch = &document["components"]["schemas"]["ThingMetadataPatch"];
        assert_eq!(patch.get("required"), None);
        assert_eq!(patch["properties"]["name"], json!({"anyOf": [{"type": "string"}, {"type": "null"}]}));
        let content = &document["paths"]["/v1/things"]["patch"]["requestBody"]["content"];
        let schema = &content["application/merge-patch+json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/ThingMetadataPatch");
    }

    #[test]
    fn answer_is_one_object_with_every_member_that_is_always_there() {
        let document = told_apart();
        let answer = &document["components"]["schemas"]["Thing"];
        assert_eq!(answer.get("allOf"), None);
        assert_eq!(answer["required"], json!(["name", "id", "size"]));
        assert_eq!(answer["properties"].as_object().unwrap().len(), 6);
        let listed = &document["components"]["schemas"]["List_Thing"]["properties"]["items"]["items"];
        assert_eq!((listed.get("allOf"), &listed["required"]), (None, &json!(["name", "size"])));
    }
}
