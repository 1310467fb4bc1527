//! A body that names what belongs to others is refused, at every operation that the OpenAPI description has, and nothing is
//! created or changed (CVE-2025-61928).
//!
//! A new operation with a body, and a new member of one, fail here until the tables below say what they name.

use doorward_server::manage::keys::NewKey;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::manager::Manager;
use crate::harness::*;

/// Whose something is that a member names.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Api,
    Owner,
}

/// An operation that takes a body from a caller of the management API.
struct Operation {
    method: Method,
    path: String,
    /// The name of the schema, the same for a whole and its merge patch.
    schema: String,
    members: Vec<String>,
}

async fn operations(server: &TestServer) -> Vec<Operation> {
    let document = server.caller.get("/openapi.json").await.expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let takes_a_key = operation["security"].as_array().unwrap().iter().any(|one| !one["bearer"].is_null());
            let content = operation["requestBody"]["content"].as_object();
            let Some(content) = content.filter(|_| takes_a_key) else { continue };
            let schema = &content.values().next().unwrap()["schema"];
            // A body that may be left out is one of a schema and null.
            let reference = schema["$ref"].as_str().or(schema["oneOf"][0]["$ref"].as_str());
            let reference = reference.expect("a schema with a name");
            let name = reference.rsplit('/').next().unwrap();
            let members = document["components"]["schemas"][name]["properties"].as_object().unwrap();
            found.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                schema: name.trim_end_matches("Patch").to_owned(),
                members: members.keys().cloned().collect(),
            });
        }
    }
    assert!(found.len() >= 11, "{}", found.len());
    found
}

/// The paths of every list, from the description; the audit notes the refusals themselves.
async fn lists(server: &TestServer) -> Vec<String> {
    let document = server.caller.get("/openapi.json").await.expect(200).json();
    let paths = document["paths"].as_object().unwrap().iter();
    let is_list = |path: &str, item: &Value| !path.contains('{') && path != "/v1/audit" && item["get"].is_object();
    let found: Vec<_> = paths.filter(|(path, item)| is_list(path, item)).map(|(path, _)| path.clone()).collect();
    assert!(found.len() >= 8, "{found:?}");
    found
}

/// What exists, and two callers: one is limited to some APIs, the other to some owners.
struct Scene<'a> {
    server: &'a TestServer,
    all: &'a Manager<'a>,
    of_apis: Manager<'a>,
    of_owners: Manager<'a>,
    /// A client that both callers may change.
    client: String,
    /// An endpoint of webhooks that both may change.
    webhook: String,
    /// A key of the API `boards`, which neither reaches.
    key_of_boards: String,
    /// An owner beside Alice and the client: the client of the tests.
    other_client: String,
    alice: String,
    bob: String,
    notes: String,
    boards: String,
}

impl<'a> Scene<'a> {
    async fn new(server: &'a TestServer, all: &'a Manager<'a>, boards: &str) -> Self {
        let scopes: Vec<_> = doorward_core::rights::SCOPES.iter().map(|(scope, _)| *scope).collect();
        let scopes = scopes.join(" ");
        let client = json!({
            "client_name": "Robot", "grant_types": ["client_credentials"], "scope": "clients:read notes:read",
            "limited_to": ["notes"], "limited_to_owners": [format!("user:{ALICE}")],
        });
        let client = all.post("/v1/clients", client).await.expect(201).text("client_id");
        let of_apis = NewKey { limited_to: vec!["notes".into(), "doorward".into()], ..new_key("doorward", &scopes) };
        let of_owners =
            NewKey { limited_to_owners: vec![format!("user:{ALICE}"), client.clone()], ..new_key("doorward", &scopes) };
        let key_of_boards = key(&server.app, new_key("boards", "")).await;
        let (of_apis, of_owners) = (Manager::by(server, of_apis).await, Manager::by(server, of_owners).await);
        let user = async |name: &str| {
            let found = all.get(&format!("/v1/users?username={name}")).await.json();
            found["items"][0]["id"].as_str().unwrap().to_owned()
        };
        let (alice, bob) = (user(ALICE).await, user(BOB).await);
        let notes = all.get("/v1/apis").await.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|api| (api["name"] == "notes").then(|| api["id"].as_str().unwrap().to_owned()));
        let (notes, boards, other_client) = (notes.unwrap(), boards.to_owned(), server.world.web.id.clone());
        let webhook = json!({"url": "https://hooks.example/", "apis": [notes], "owners": [client]});
        let webhook = all.post("/v1/webhooks", webhook).await.expect(201).text("id");
        Self {
            server,
            all,
            of_apis,
            of_owners,
            client,
            webhook,
            key_of_boards,
            other_client,
            alice,
            bob,
            notes,
            boards,
        }
    }

    /// The bodies that name something of others by a member, each as the members that differ from [`Self::right`], and
    /// which caller must not send them. Empty for a member that names nothing: also for names that nobody may take twice.
    fn of_others(&self, schema: &str, member: &str) -> Option<(Of, Vec<Value>)> {
        let boards = ["boards", "urn:boards", self.boards.as_str()];
        let (alice, bob) = (format!("user:{ALICE}"), format!("user:{BOB}"));
        let others = [bob.as_str(), self.bob.as_str(), self.other_client.as_str(), "acme"];
        let holders = [BOB, self.bob.as_str(), self.other_client.as_str()];
        let each = |of, values: Vec<Value>| {
            let bodies = values.into_iter().map(|value| Value::Object(Map::from_iter([(member.to_owned(), value)])));
            Some((of, bodies.collect()))
        };
        match (schema, member) {
            (_, "limited_to") => each(Of::Api, boards.map(|api| json!(["notes", api])).to_vec()),
            (_, "limited_to_owners") => each(Of::Owner, others.map(|owner| json!([alice, owner])).to_vec()),
            ("ClientSettings", "scope") => each(Of::Api, vec![json!("clients:read notes:read boards:read")]),
            ("ClientSettings", "default_scope") => {
                let both = |scope| json!({"scope": format!("clients:read {scope}"), "default_scope": scope});
                Some((Of::Api, vec![both("boards:read")]))
            }
            ("Disable", "keys") => {
                let bodies = others.map(|owner| json!({"keys": {"hand_over_to": owner}}));
                Some((Of::Owner, bodies.to_vec()))
            }
            ("RevokeKeys", "api") => each(Of::Api, boards.map(|api| json!(api)).to_vec()),
            ("RevokeKeys", "owner") => each(Of::Owner, others.map(|owner| json!(owner)).to_vec()),
            ("KeyVerification", "key") => each(Of::Api, vec![json!(self.key_of_boards)]),
            ("NewKey", "apis") => each(Of::Api, boards.map(|api| json!(["doorward", api])).to_vec()),
            ("NewKey", "api") => {
                let bare = json!({"apis": null, "scopes": [], "limited_to": [], "limited_to_owners": []});
                let body = |api| with(bare.clone(), &json!({ "api": api }));
                Some((Of::Api, boards.map(body).to_vec()))
            }
            ("NewKey", "owner") => each(Of::Owner, others.map(|owner| json!(owner)).to_vec()),
            ("NewKey", "roles") => Some((Of::Api, vec![json!({"apis": ["doorward", "boards"], "roles": ["boards:admin"]})])),
            ("NewKey", "scopes") => {
                let scopes = ["clients:read", "boards:read"];
                Some((Of::Api, vec![json!({"apis": ["doorward", "boards"], "scopes": scopes})]))
            }
            ("WebhookMetadata", "apis") => each(Of::Api, vec![json!([self.notes, self.boards])]),
            ("WebhookMetadata", "owners") => {
                let others = [self.bob.as_str(), self.other_client.as_str(), "acme"];
                each(Of::Owner, others.map(|owner| json!([self.client, owner])).to_vec())
            }
            ("NewRoleGrant", "api") => each(Of::Api, boards.map(|api| json!(api)).to_vec()),
            ("NewRoleGrant", "holder") => each(Of::Owner, holders.map(|holder| json!(holder)).to_vec()),
            // Names and scopes of an API are nobody else's: they are refused to everybody where they are taken.
            ("ApiMetadata", "access_token_ttl" | "identifier" | "key_prefix" | "name" | "roles" | "scopes")
            | ("ApiMetadata", "public_scopes" | "signing_algorithm" | "token_format" | "user_key_scopes")
            | ("ApiMetadata", "key_policy" | "leak_policy")
            | ("ClientSettings", "assertion_for_token_endpoint" | "client_name" | "client_uri" | "grant_types" | "jwks")
            | ("ClientSettings", "id_token_claims" | "id_token_signed_response_alg" | "post_logout_redirect_uris")
            | ("ClientSettings", "profile" | "redirect_uris" | "token_endpoint_auth_method")
            // A key keeps its APIs, and the scopes and roles are theirs.
            | ("KeySettings", "allowed_origins")
            | ("KeySettings", "allowed_addresses" | "metadata" | "name" | "quota" | "rate_limit" | "roles" | "scopes" | "uses")
            | ("KeyVerification", "address" | "origin" | "scopes" | "uses")
            | ("NewKey", "allowed_addresses" | "environment" | "expires_in" | "metadata" | "name" | "never_expires")
            | ("NewKey", "allowed_origins" | "kind" | "quota" | "rate_limit" | "uses")
            // Of the keys that match, those beyond the caller's limits are left out.
            | ("RevokeKeys", "created_by" | "created_since" | "created_until" | "scope")
            | ("RotateKey", "overlap" | "quiet_for" | "replace_unused")
            | ("WebhookMetadata", "description" | "events" | "url")
            | ("NewPassword", "password")
            | ("NewRoleGrant", "role")
            | ("NewSigningKey", "alg")
            | ("NewUser" | "UserMetadata", "email" | "email_verified" | "name" | "username")
            | ("NewUser", "password") => None,
            unknown => panic!("say here what this member names: {unknown:?}"),
        }
    }

    /// The path of an operation, and a body without something of others.
    fn right(&self, operation: &Operation) -> (String, Value) {
        let path = operation.path.replace("{api_id}", &self.notes).replace("{client_id}", &self.client);
        let path = path.replace("{webhook_id}", &self.webhook).replace("{user_id}", &self.alice);
        let path = match operation.schema.as_str() {
            "Disable" => format!("{path}?confirm=true"),
            "RevokeKeys" => format!("{path}?dry_run=true"),
            _ => path,
        };
        let body = match (operation.method.as_str(), operation.path.as_str()) {
            ("PATCH", "/v1/apis/{api_id}") => json!({"access_token_ttl": 60}),
            ("POST", "/v1/clients") => json!({
                "client_name": "New", "grant_types": ["client_credentials"], "scope": "clients:read notes:read",
                "limited_to": ["notes"],
            }),
            ("PATCH", "/v1/clients/{client_id}") => json!({"client_name": "Other"}),
            ("POST", "/v1/keys") => json!({
                "name": "New", "apis": ["doorward"], "scopes": ["clients:read"], "limited_to": ["notes"],
                "limited_to_owners": [format!("user:{ALICE}")], "owner": format!("user:{ALICE}"),
            }),
            ("POST", "/v1/clients/{client_id}/disable" | "/v1/users/{user_id}/disable") => json!({"keys": "revoke"}),
            ("POST", "/v1/keys/revoke") => json!({"api": "notes"}),
            ("POST", "/v1/keys/verify") => json!({"key": self.server.world.key}),
            ("POST", "/v1/roles") => json!({"holder": self.client, "api": "notes", "role": "admin"}),
            ("POST", "/v1/webhooks") => {
                json!({"url": "https://hooks.example/", "apis": [self.notes], "owners": [self.client]})
            }
            ("PATCH", "/v1/webhooks/{webhook_id}") => json!({"description": "Other"}),
            // No member of these names something of others.
            ("POST", "/v1/apis" | "/v1/signing-keys" | "/v1/users")
            | ("POST", "/v1/keys/{key_id}/rotate")
            | ("PATCH", "/v1/keys/{key_id}" | "/v1/users/{user_id}")
            | ("POST", "/v1/users/{user_id}/password") => json!({}),
            unknown => panic!("say here what a body of this operation is: {unknown:?}"),
        };
        (path, body)
    }

    /// Everything that can be listed.
    async fn everything(&self, lists: &[String]) -> Vec<Value> {
        let mut found = Vec::new();
        for path in lists {
            let mut cursor = String::new();
            loop {
                let page = self.all.get(&format!("{path}?limit=200{cursor}")).await.expect(200).json();
                for mut item in page["items"].as_array().unwrap().clone() {
                    item.as_object_mut().unwrap().retain(|member, _| !member.starts_with("last_used_"));
                    found.push(item);
                }
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
        }
        found
    }
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Whether an answer accepts what was sent.
fn accepts(answer: &Answer) -> bool {
    (200..300).contains(&answer.status) && answer.json()["valid"] != json!(false)
}

#[tokio::test]
async fn no_operation_takes_a_body_about_something_of_others() {
    on_each_engine(async |server| {
        let all = Manager::of_all(server).await;
        let boards = json!({"name": "boards", "identifier": "urn:boards", "roles": ["admin"],
            "scopes": [{"scope": "boards:read", "description": "Read"}]});
        let boards = all.post("/v1/apis", boards).await.expect(201).text("id");
        let (lists, mut tried) = (lists(server).await, 0);
        let first = Scene::new(server, &all, &boards).await;
        for operation in operations(server).await {
            for member in &operation.members {
                let count = first.of_others(&operation.schema, member);
                for at in 0..count.map_or(0, |(_, bodies)| bodies.len()) {
                    let scene = Scene::new(server, &all, &boards).await;
                    let (of, bodies) = scene.of_others(&operation.schema, member).unwrap();
                    let (path, right) = scene.right(&operation);
                    let (body, said) =
                        (with(right, &bodies[at]), format!("{} {path} {}", operation.method, bodies[at]));
                    let before = scene.everything(&lists).await;
                    let nobody = server.caller.request(operation.method.clone(), &path).json(&body);
                    assert_eq!(server.caller.send(nobody).await.status, 401, "{said}");
                    let caller = if of == Of::Api { &scene.of_apis } else { &scene.of_owners };
                    let answer = caller.send(operation.method.clone(), &path, &[], Some(body.clone())).await;
                    let is_refused = [403, 404, 422].contains(&answer.status) || answer.json()["valid"] == json!(false);
                    assert!(is_refused, "{said}: {} {}", answer.status, answer.body);
                    assert_eq!(scene.everything(&lists).await, before, "{said}");
                    // It is the limit that refuses: a caller without one may send the same.
                    let answer = all.send(operation.method.clone(), &path, &[], Some(body)).await;
                    assert!(accepts(&answer), "{said}: {} {}", answer.status, answer.body);
                    tried += 1;
                }
            }
        }
        assert!(tried >= 30, "{tried}");
    })
    .await;
}

#[tokio::test]
async fn limited_callers_may_send_a_body_about_their_own_things() {
    // Each scene has endpoints of webhooks within the same limits.
    let server = TestServer::start_with(|settings| settings.limits.webhooks = 1_000).await;
    let all = Manager::of_all(&server).await;
    let boards = all.post("/v1/apis", json!({"name": "boards", "identifier": "urn:boards"})).await.expect(201);
    for operation in operations(&server).await {
        let scene = Scene::new(&server, &all, &boards.text("id")).await;
        let (path, body) = scene.right(&operation);
        let names_something =
            operation.members.iter().any(|member| scene.of_others(&operation.schema, member).is_some());
        // Users belong to no API, so a limit to APIs does not reach them.
        if names_something && !path.starts_with("/v1/users/") {
            let answer = scene.of_apis.send(operation.method.clone(), &path, &[], Some(body)).await;
            assert!(accepts(&answer), "{} {path}: {} {}", operation.method, answer.status, answer.body);
        }
    }
}
