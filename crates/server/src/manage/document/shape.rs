//! What a schema says about a document: the members at every level, which of them must be there, and of which kind each is.
//!
//! What a schema leaves free stays free, such as the members of a JWK (RFC 7517 section 4).

use std::collections::BTreeMap;

use doorward_core::{
    json::{Map, Value},
    refusal::Mistake,
};
use utoipa::{
    Number, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ArrayItems, SchemaType, Type},
    },
};

/// The schema of a document, with those that it names.
pub(super) struct Shape {
    whole: RefOr<Schema>,
    named: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    pub(super) fn of<T: ToSchema>() -> Self {
        let mut named = Vec::new();
        T::schemas(&mut named);
        Self { whole: T::schema(), named }
    }

    /// The members of the document itself.
    pub(super) fn members(&self) -> Members<'_> {
        Part { shape: self, schema: &self.whole }.members()
    }
}

/// A place in a document.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    shape: &'a Shape,
    schema: &'a RefOr<Schema>,
}

impl<'a> Part<'a> {
    /// Where a value differs from its schema: what is unknown, what is missing, and what is of another kind.
    pub(super) fn mistakes(self, value: &Value) -> Vec<Mistake> {
        if let Some(why) = self.another_kind(value) {
            return vec![Mistake::at("", why)];
        }
        match (value, self.element()) {
            (Value::Array(elements), Some(element)) => {
                let elements = elements.iter().enumerate();
                elements.flat_map(|(index, value)| within(&index.to_string(), element.mistakes(value))).collect()
            }
            (Value::Object(given), _) => self.members().mistakes(given),
            _ => Vec::new(),
        }
    }

    /// The elements of a list.
    pub(super) fn element(self) -> Option<Self> {
        self.schemas().into_iter().find_map(|schema| match schema {
            Schema::Array(list) => match &list.items {
                ArrayItems::RefOrSchema(schema) => Some(Part { schema, ..self }),
                ArrayItems::False => None,
            },
            _ => None,
        })
    }

    /// What a value must be, in words, if the schema says one kind.
    pub(super) fn must_be(self) -> Option<&'static str> {
        match &self.kinds()[..] {
            [kind] => Some(words(kind)),
            _ => None,
        }
    }

    fn members(self) -> Members<'a> {
        let mut members = Members { known: BTreeMap::new(), is_open: true };
        for schema in self.schemas() {
            if let Schema::Object(object) = schema {
                members.is_open &= object.properties.is_empty() || object.additional_properties.is_some();
                let part = |schema| Part { schema, ..self };
                let is_required = |name| object.required.contains(name);
                let known = object.properties.iter();
                members.known.extend(known.map(|(name, schema)| (name.as_str(), (part(schema), is_required(name)))));
            }
        }
        members
    }

    fn another_kind(self, value: &Value) -> Option<String> {
        let kinds = self.kinds();
        let is_of = |kind: &Type| match kind {
            Type::Object => value.is_object(),
            Type::String => value.is_string(),
            Type::Integer => value.is_i64() || value.is_u64(),
            Type::Number => value.is_number(),
            Type::Boolean => value.is_boolean(),
            Type::Array => value.is_array(),
            Type::Null => value.is_null(),
        };
        let must_be = || kinds.iter().map(words).collect::<Vec<_>>().join(" or ");
        if !kinds.is_empty() && !kinds.iter().any(is_of) {
            return Some(format!("is {}, but must be {}", kind_of(value), must_be()));
        }
        let is_unsigned = || {
            self.schemas().into_iter().any(|schema| match schema {
                Schema::Object(object) => matches!(object.minimum, Some(Number::UInt(_) | Number::Int(0..))),
                _ => false,
            })
        };
        let is_negative = value.as_i64().is_some_and(|number| number < 0);
        (is_negative && is_unsigned()).then(|| format!("is negative, but must be {}", must_be()))
    }

    /// The kinds that a value may have; none if it may be anything. A value that is absent has none.
    fn kinds(self) -> Vec<Type> {
        let of_one = |schema: &Schema| match schema {
            Schema::Object(object) => kinds_of(&object.schema_type),
            Schema::Array(list) => kinds_of(&list.schema_type),
            _ => Vec::new(),
        };
        let mut kinds: Vec<_> = self.schemas().into_iter().flat_map(of_one).collect();
        kinds.dedup();
        kinds
    }

    /// The schemas that hold together; none where there is a choice.
    fn schemas(self) -> Vec<&'a Schema> {
        let all = |parts: &'a [RefOr<Schema>]| -> Vec<_> {
            parts.iter().flat_map(|schema| Part { schema, ..self }.schemas()).collect()
        };
        match self.schema {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                let found = self.shape.named.iter().find(|(known, _)| known == name);
                found.map(|(_, schema)| Part { schema, ..self }.schemas()).unwrap_or_default()
            }
            RefOr::T(Schema::AllOf(parts)) => all(&parts.items),
            RefOr::T(Schema::OneOf(choice)) => only(&choice.items).map(all).unwrap_or_default(),
            RefOr::T(Schema::AnyOf(choice)) => only(&choice.items).map(all).unwrap_or_default(),
            RefOr::T(schema) => vec![schema],
        }
    }
}

/// The members of an object, and whether each must be there.
pub(super) struct Members<'a> {
    known: BTreeMap<&'a str, (Part<'a>, bool)>,
    /// Whether there may be others.
    is_open: bool,
}

impl<'a> Members<'a> {
    /// A member by its name.
    pub(super) fn get(&self, name: &str) -> Option<Part<'a>> {
        self.known.get(name).map(|(part, _)| *part)
    }

    /// The names of those that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.known.keys().copied()
    }

    /// What must be there and is not. A member that is `null` counts as absent.
    pub(super) fn missing(&self, given: &Map<String, Value>) -> Vec<Mistake> {
        let is_given = |name: &str| given.get(name).is_some_and(|value| !value.is_null());
        let missing = self.known.iter().filter(|(name, (_, is_required))| *is_required && !is_given(name));
        missing.map(|(name, _)| Mistake::at("", "is missing").within(name)).collect()
    }

    fn mistakes(&self, given: &Map<String, Value>) -> Vec<Mistake> {
        let of_member = |(name, value): (&String, &Value)| match self.get(name) {
            Some(_) if value.is_null() => Vec::new(),
            Some(part) => within(name, part.mistakes(value)),
            None if self.is_open => Vec::new(),
            None => vec![Mistake::at("", unknown(self.names())).within(name)],
        };
        given.iter().flat_map(of_member).chain(self.missing(given)).collect()
    }
}

/// That a name is unknown, and which are known.
pub(super) fn unknown<'a>(known: impl Iterator<Item = &'a str>) -> String {
    match known.collect::<Vec<_>>() {
        known if known.is_empty() => "is unknown; nothing is known here".to_owned(),
        known => format!("is unknown; known are {}", known.join(", ")),
    }
}

/// Mistakes in a member or an element as mistakes in the whole.
pub(super) fn within(name: &str, mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.into_iter().map(|mistake| mistake.within(name)).collect()
}

/// The one schema that there is beside `null`.
fn only(choice: &[RefOr<Schema>]) -> Option<&[RefOr<Schema>]> {
    let is_null = |schema: &RefOr<Schema>| match schema {
        RefOr::T(Schema::Object(object)) => matches!(object.schema_type, SchemaType::Type(Type::Null)),
        _ => false,
    };
    match choice {
        [one] => Some(std::slice::from_ref(one)),
        [null, one] | [one, null] if is_null(null) => Some(std::slice::from_ref(one)),
        _ => None,
    }
}

fn kinds_of(schema_type: &SchemaType) -> Vec<Type> {
    match schema_type {
        SchemaType::Type(kind) => vec![kind.clone()],
        SchemaType::Array(kinds) => kinds.iter().filter(|kind| **kind != Type::Null).cloned().collect(),
        SchemaType::AnyValue => Vec::new(),
    }
}

fn words(kind: &Type) -> &'static str {
    match kind {
        Type::Object => "an object",
        Type::String => "a text",
        Type::Integer => "a whole number",
        Type::Number => "a number",
        Type::Boolean => "true or false",
        Type::Array => "a list",
        Type::Null => "null",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
