//! The description of `/v1` (OpenAPI 3.1), generated from the handlers.

mod bodies;

use doorward_core::{rights::SCOPES, trace::TraceId};
use serde::Serialize;
use serde_json::Value;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        Content, HeaderBuilder, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder,
        link::Link,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::access::SCHEME;

/// The scheme of an API's own credential.
pub(super) const API_CREDENTIAL: &str = "api_credential";

/// The scheme of an API key that a request is about.
const API_KEY: &str = "api_key";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Doorward",
        description = "The management API of Doorward, and what APIs ask it. Times are RFC 3339, durations are seconds. \
                       Lists have `items` and `next`. Errors are problem documents (RFC 9457) with a `trace_id` that the \
                       operator can look up.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemDocument))
)]
struct Base;

/// A problem document (RFC 9457): why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "the guard writes it, and the description is generated from this")]
struct ProblemDocument {
    /// The page about this kind of refusal.
    #[serde(rename = "type")]
    kind: String,
    /// The kind, in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What happened, and what to do.
    detail: String,
    /// The kind, for programs.
    code: String,
    /// What the operator looks it up by: `doorward explain`.
    #[schema(value_type = String)]
    trace_id: TraceId,
    /// The scopes that would have been enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scopes: Option<Vec<String>>,
    /// The roles that would have been enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    required_roles: Option<Vec<String>>,
    /// Each mistake in the body or in the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<doorward_core::refusal::Mistake>>,
    /// What the change would end, by kind: `count` of each, and whether there are `more`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    ends: Option<serde_json::Value>,
}

/// The description to which the operations are added.
pub(super) fn base() -> Document {
    let mut document = Base::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let scopes: Vec<_> = SCOPES.iter().map(|(scope, description)| format!("- `{scope}`: {description}")).collect();
    let bearer = bearer.description(Some(format!(
        "An API key or an access token for the management API; a key may also come alone in the header `X-API-Key`. Its \
         scopes say what it may do:\n\n{}",
        scopes.join("\n")
    )));
    components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer.build()));
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let key = key.description(Some(
        "The API key that the request is about, of any API; it may also come in the header `X-API-Key`.",
    ));
    components.add_security_scheme(API_KEY, SecurityScheme::Http(key.build()));
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
    let basic = basic.description(Some("The credential of an API: its `client_id` and secret."));
    components.add_security_scheme(API_CREDENTIAL, SecurityScheme::Http(basic.build()));
    document
}

/// Adds what follows for every operation: a name of its own, how it refuses, and which operations go on with what it
/// created.
pub(super) fn complete(mut document: Document) -> Value {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            let refused = ResponseBuilder::new().description("Refused: `code` and `detail` say why");
            let refused = refused.content("application/problem+json", problem);
            operation.responses.responses.insert("default".to_owned(), refused.build().into());
            let noun = operation.tags.iter().flatten().next().cloned().unwrap_or_default().replace('-', "_");
            let verb = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{noun}_{verb}"));
        }
    }
    link(&mut document);
    describe_headers(&mut document);
    let mut document = serde_json::to_value(document).expect("a description is JSON");
    bodies::tell_apart(&mut document);
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Describes the headers of answers: each has `ETag` where it is one thing that can be shown, and `Location` where that was
/// created.
fn describe_headers(document: &mut Document) {
    let shown = |(path, item): (&String, &mut PathItem)| {
        path.ends_with('}').then(|| answered(item.get.as_mut()?, "200")).flatten()
    };
    let shown: Vec<String> = document.paths.paths.iter_mut().filter_map(shown).collect();
    let header = |description: &str| HeaderBuilder::new().description(Some(description)).build();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let is_shown = answered(operation, "200").is_some_and(|schema| shown.contains(&schema));
        for (status, answer) in &mut operation.responses.responses {
            let RefOr::T(answer) = answer else { continue };
            if status == "201" || status == "200" && is_shown {
                answer.headers.insert("ETag".to_owned(), header("The state of it, as `If-Match` takes it.").into());
            }
            if status == "201" {
                answer.headers.insert("Location".to_owned(), header("Where it is found from now on.").into());
            }
        }
    }
}

/// The schema that answers with a status name.
fn answered(operation: &Operation, status: &str) -> Option<String> {
    let RefOr::T(answer) = operation.responses.responses.get(status)? else { return None };
    let RefOr::T(content) = answer.content.get("application/json")? else { return None };
    match content.schema.as_ref()? {
        RefOr::Ref(reference) => Some(reference.ref_location.clone()),
        RefOr::T(_) => None,
    }
}

/// Links what is created at `/v1/things` to the operations at `/v1/things/{id}` and below it.
fn link(document: &mut Document) {
    let mut of_one: Vec<(String, Vec<String>, String)> = Vec::new();
    for (path, item) in &mut document.paths.paths {
        if let Some((collection, _)) = path.split_once("/{") {
            let parameter = |part: &str| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned());
            let parameters: Vec<_> = path.split('/').filter_map(parameter).collect();
            // What was created does not know the ids of what is below it.
            if parameters.iter().skip(1).any(|parameter| parameter.ends_with("_id")) {
                continue;
            }
            let names = operations(item).filter_map(|operation| operation.operation_id.clone());
            of_one.extend(names.map(|name| (collection.to_owned(), parameters.clone(), name)));
        }
    }
    for (path, item) in &mut document.paths.paths {
        let created = item.post.as_mut().and_then(|operation| operation.responses.responses.get_mut("201"));
        let Some(RefOr::T(created)) = created else { continue };
        for (_, parameters, name) in of_one.iter().filter(|(collection, ..)| collection == path) {
            let link = parameters.iter().fold(Link::builder().operation_id(name), |link, parameter| {
                // Most nouns call their id `id`; a client has its standard name.
                let member = if parameter != "client_id" && parameter.ends_with("_id") { "id" } else { parameter };
                link.parameter(parameter, format!("$response.body#/{member}"))
            });
            created.links.insert(name.clone(), RefOr::T(link.build()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let document = crate::v1::description();
        let items = document["paths"].as_object().unwrap().values().filter_map(|item| item.as_object());
        let names: Vec<_> =
            items.flat_map(|item| item.values()).map(|one| one["operationId"].as_str().unwrap()).collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        // Each name has the noun once.
        assert!(names.contains(&"keys_list") && names.contains(&"verification_verify_key"), "{names:?}");
    }
}
