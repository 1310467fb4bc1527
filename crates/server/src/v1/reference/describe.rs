//! The operations of a description, in the form in which people read them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The operations of a noun.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) operations: Vec<Operation>,
}

/// One operation.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: String,
    /// What a caller must have.
    pub(super) demands: String,
    pub(super) parameters: Vec<Member>,
    pub(super) body: Vec<Member>,
    pub(super) answers: Vec<Answer>,
}

/// How an operation answers.
pub(super) struct Answer {
    pub(super) status: String,
    pub(super) description: String,
    pub(super) members: Vec<Member>,
}

/// A member of a body, or a parameter.
pub(super) struct Member {
    pub(super) name: String,
    /// Its type, in words.
    pub(super) kind: String,
    pub(super) is_required: bool,
    pub(super) description: String,
}

/// The groups of a description, by name, each with its operations by path.
pub(super) fn groups(description: &Value) -> Vec<Group> {
    let schemas = Schemas(description.pointer("/components/schemas").unwrap_or(&Value::Null));
    let mut groups: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for (path, item) in entries(&description["paths"]) {
        for (method, operation) in entries(item) {
            let group = text(&operation["tags"][0]);
            groups.entry(group).or_default().push(schemas.operation(path, method, operation));
        }
    }
    groups.into_iter().map(|(name, operations)| Group { name, operations }).collect()
}

/// The schemas that others name.
struct Schemas<'a>(&'a Value);

impl Schemas<'_> {
    fn operation(&self, path: &str, method: &str, operation: &Value) -> Operation {
        let contents = |of: &Value| entries(&of["content"]).next().map(|(_, content)| content["schema"].clone());
        let body = contents(&operation["requestBody"]).unwrap_or_default();
        let answers = entries(&operation["responses"]).filter(|(status, _)| *status != "default");
        let answer = |(status, answer): (&String, &Value)| Answer {
            status: status.clone(),
            description: text(&answer["description"]),
            members: contents(answer).map(|schema| self.members(&schema)).unwrap_or_default(),
        };
        Operation {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            demands: demands(&operation["security"]),
            parameters: items(&operation["parameters"]).map(|parameter| self.parameter(parameter)).collect(),
            body: self.members(&body),
            answers: answers.map(answer).collect(),
        }
    }

    fn parameter(&self, parameter: &Value) -> Member {
        let place = text(&parameter["in"]);
        Member {
            name: text(&parameter["name"]),
            kind: format!("{}, in the {place}", self.kind(&parameter["schema"])),
            is_required: parameter["required"] == true,
            description: text(&parameter["description"]),
        }
    }

    fn members(&self, schema: &Value) -> Vec<Member> {
        let schema = self.resolved(schema);
        let is_required = |name: &str| items(&schema["required"]).any(|required| required == name);
        let member = |(name, member): (&String, &Value)| {
            let description = match text(&member["description"]) {
                words if words.is_empty() => text(&self.resolved(member)["description"]),
                words => words,
            };
            Member { name: name.clone(), kind: self.kind(member), is_required: is_required(name), description }
        };
        entries(&schema["properties"]).map(member).collect()
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            Some(name) => &self.0[name],
            None => schema,
        }
    }

    /// The type of a value, in words.
    fn kind(&self, schema: &Value) -> String {
        let choices = items(&schema["anyOf"]).chain(items(&schema["oneOf"])).collect::<Vec<_>>();
        if !choices.is_empty() {
            return choices.into_iter().map(|choice| self.kind(choice)).collect::<Vec<_>>().join(" or ");
        }
        let schema = self.resolved(schema);
        let words: Vec<_> = items(&schema["enum"]).map(|word| format!("`{}`", text(word))).collect();
        if !words.is_empty() {
            return words.join(" or ");
        }
        if schema["format"] == "date-time" {
            return "time".to_owned();
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.iter().map(text).collect(),
            one => vec![text(one)],
        };
        let word = |name: String| match name.as_str() {
            "array" => format!("list of {}", self.kind(&schema["items"])),
            "boolean" => "true or false".to_owned(),
            "integer" => "whole number".to_owned(),
            "string" => "text".to_owned(),
            "" => "any value".to_owned(),
            _ => name,
        };
        types.into_iter().map(word).collect::<Vec<_>>().join(" or ")
    }
}

/// What a caller must have, by the security of an operation.
fn demands(security: &Value) -> String {
    let demand = |one: &Value| {
        let (scheme, scopes) = entries(one).next()?;
        let scopes: Vec<_> = items(scopes).map(text).collect();
        Some(match scheme.as_str() {
            "api_credential" => "the credential of an API".to_owned(),
            _ => format!("the scope {}", scopes.join(" ")),
        })
    };
    items(security).filter_map(demand).collect::<Vec<_>>().join(", or ")
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operation_is_described_with_members_and_types_in_words() {
        let description = json!({
            "paths": {"/v1/things": {"post": {
                "tags": ["things"], "operationId": "things_create", "summary": "Create a thing",
                "security": [{"bearer": ["things:write"]}],
                "parameters": [{"name": "dry", "in": "query", "required": false, "schema": {"type": "boolean"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                "responses": {"201": {"description": "Made", "content": {"application/json": {"schema": {
                    "$ref": "#/components/schemas/Thing"}}}}, "default": {"description": "Refused"}},
            }}},
            "components": {"schemas": {
                "Colour": {"type": "string", "enum": ["red", "blue"], "description": "A colour."},
                "Thing": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string", "description": "Its name."},
                    "colours": {"type": "array", "items": {"$ref": "#/components/schemas/Colour"}},
                    "colour": {"$ref": "#/components/schemas/Colour"},
                    "gone_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}}},
            }},
        });
        let groups = groups(&description);
        assert_eq!((groups.len(), groups[0].name.as_str()), (1, "things"));
        let Operation { method, demands, parameters, body, answers, .. } = &groups[0].operations[0];
        assert_eq!((method.as_str(), demands.as_str()), ("POST", "the scope things:write"));
        assert_eq!(parameters[0].kind, "true or false, in the query");
        let of = |name: &str| body.iter().find(|member| member.name == name).unwrap();
        assert!(of("name").is_required && !of("colour").is_required);
        assert_eq!(of("colours").kind, "list of `red` or `blue`");
        assert_eq!((of("colour").description.as_str(), of("gone_at").kind.as_str()), ("A colour.", "time or null"));
        assert_eq!((answers.len(), answers[0].members.len()), (1, 4));
    }
}
