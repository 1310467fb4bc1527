//! Desired states, applied to a server on each engine.

use doorward_core::{
    desired_state::DesiredState,
    json::{Value, json},
    random::{Rng, SeededRng},
};
use doorward_server::{
    Settings,
    manage::{
        ManageError,
        keys::NewKey,
        state::{self, How, Outcome, OutcomeState},
    },
};

use crate::harness::*;

fn state(value: Value) -> DesiredState {
    let Value::Object(value) = value else { unreachable!() };
    state::read(&Settings::new("https://id.example"), value).unwrap()
}

async fn apply(server: &TestServer, desired: &DesiredState, how: How) -> Outcome {
    state::apply(&server.app, &operator(), desired, how).await.unwrap_or_else(|error| panic!("{error}: {desired:?}"))
}

async fn mistakes(server: &TestServer, desired: Value) -> Vec<(String, String)> {
    match state::apply(&server.app, &operator(), &state(desired), How::default()).await {
        Err(ManageError::Mistakes(mistakes)) => {
            mistakes.into_iter().map(|mistake| (mistake.pointer, mistake.detail)).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn exported(server: &TestServer) -> DesiredState {
    state::export(&server.app, &operator()).await.unwrap()
}

/// A state without the order in which things were created.
fn sorted(mut state: DesiredState) -> Value {
    state.key = None;
    let mut state = json!(state);
    for (kind, name) in [("api", "name"), ("client", "client_id")] {
        let list = state[kind].as_array_mut().unwrap();
        list.sort_by_key(|entry| entry[name].as_str().unwrap().to_owned());
    }
    state
}

const CONFIRMED: How = How { is_confirmed: true, is_dry_run: false, prunes: true, skips_missing: false };

/// A random state: which API has which scope, and which client exists with which of them.
fn random(rng: &SeededRng) -> DesiredState {
    let below = |bound: u8| {
        let mut byte = [0];
        rng.fill(&mut byte);
        usize::from(byte[0] % bound)
    };
    let owners: Vec<_> = (0..6).map(|_| below(4)).collect();
    let apis: Vec<_> = (0..3).filter(|_| below(4) > 0).collect();
    let scopes: Vec<_> = (0..6).filter(|at| apis.contains(&owners[*at])).collect();
    let api = |number: &usize| {
        let own = scopes.iter().filter(|at| owners[**at] == *number);
        json!({
            "name": format!("api{number}"), "identifier": format!("urn:api:{number}"), "roles": ["admin"],
            "access_token_ttl": 60 + below(3),
            "scopes": own.map(|at| json!({"scope": format!("s:{at}"), "description": "Do it"})).collect::<Vec<_>>(),
        })
    };
    let clients: Vec<_> = (0..4).filter(|_| below(3) > 0).collect();
    let client = |number: &usize| {
        let asked: Vec<_> = scopes.iter().filter(|_| below(2) > 0).map(|at| format!("s:{at}")).collect();
        let mut client = json!({
            "client_id": format!("cli_{number:032x}"), "client_name": format!("App {}", below(3)),
            "grant_types": ["authorization_code"], "redirect_uris": [format!("https://app.example/{}", below(3))],
            "token_endpoint_auth_method": if number.is_multiple_of(2) { "none" } else { "client_secret" },
            "scope": format!("openid {}", asked.join(" ")).trim(),
        });
        if below(3) == 0 {
            client["disabled"] = true.into();
        }
        client
    };
    let role = |number: &usize| json!({"holder": format!("cli_{number:032x}"), "api": format!("api{}", apis[0]), "role": "admin"});
    let roles = if apis.is_empty() { vec![] } else { clients.iter().filter(|_| below(2) > 0).map(role).collect() };
    state(json!({
        "api": apis.iter().map(api).collect::<Vec<_>>(),
        "client": clients.iter().map(client).collect::<Vec<_>>(),
        "role": roles,
    }))
}

#[tokio::test]
async fn random_edits_are_reached_and_a_second_time_changes_nothing() {
    on_each_engine(async |server| {
        let rng = SeededRng::new(7);
        for _ in 0..25 {
            let mut desired = random(&rng);
            apply(server, &desired, CONFIRMED).await;
            let again = apply(server, &desired, CONFIRMED).await;
            assert!(again.changes.is_empty(), "{:?}", again.changes);
            // A client that the state does not disable stays as it was.
            let found = exported(server).await;
            desired.client.iter_mut().flatten().for_each(|client| {
                let id = client.client_id.as_ref();
                let mut all = found.client.iter().flatten();
                let found = all.find(|found| found.client_id.as_ref() == id).unwrap();
                client.disabled = client.disabled.or(found.disabled);
            });
            desired.role.iter_mut().for_each(|roles| roles.sort());
            assert_eq!(sorted(found), sorted(desired));
        }
    })
    .await;
}

#[tokio::test]
async fn exported_state_changes_nothing_where_it_comes_from() {
    on_each_engine(async |server| {
        let exported = exported(server).await;
        let text = json!(exported).to_string();
        assert!(!text.contains("dw_cs_") && !text.contains("\"doorward\"") && text.contains("\"mails\""), "{text}");
        let outcome = apply(server, &exported, CONFIRMED).await;
        assert!(outcome.changes.is_empty() && outcome.state == OutcomeState::Applied, "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn scopes_that_no_api_has_any_more_are_not_exported() {
    on_each_engine(async |server| {
        let mut state = exported(server).await;
        let notes = state.api.iter_mut().flatten().find(|api| api.name == "notes").unwrap();
        notes.scopes.retain(|known| known.scope.as_str() != "notes:write");
        let of_apis = DesiredState { api: state.api, ..DesiredState::default() };
        apply(server, &of_apis, How { prunes: false, ..CONFIRMED }).await;
        let narrowed = exported(server).await;
        assert!(!json!(narrowed).to_string().contains("notes:write"), "{narrowed:?}");
        assert!(apply(server, &narrowed, CONFIRMED).await.changes.is_empty());
    })
    .await;
}

#[tokio::test]
async fn exported_state_applied_elsewhere_gives_the_same() {
    let from = TestServer::start().await;
    let state = exported(&from).await;
    on_each_engine(async |server| {
        let how = How { skips_missing: true, ..CONFIRMED };
        let outcome = apply(server, &state, how).await;
        assert_eq!(outcome.skipped.len(), 2, "the keys are not here: {:?}", outcome.skipped);
        assert_eq!(sorted(exported(server).await), sorted(state.clone()));
        let web = outcome.changes.iter().find(|change| change.action == "create" && change.name == "Web").unwrap();
        assert_eq!(web.secret_to_rotate.as_ref().map(ToString::to_string).as_deref(), Some(&*from.world.web.id));
    })
    .await;
}

#[tokio::test]
async fn state_that_ends_what_is_in_use_needs_confirmation() {
    on_each_engine(async |server| {
        server.tokens(&server.world.web).await;
        let before = sorted(exported(server).await);
        let desired = state(json!({"client": []}));
        let how = How { prunes: true, ..How::default() };
        let outcome = apply(server, &desired, how).await;
        assert_eq!(outcome.state, OutcomeState::Unconfirmed);
        let ends: Vec<_> =
            outcome.changes.iter().filter_map(|change| change.ends).map(|ends| ends.grants.number).collect();
        assert_eq!((outcome.changes.len(), ends), (3, vec![1]));
        let shown = apply(server, &desired, How { is_dry_run: true, ..CONFIRMED }).await;
        assert_eq!((shown.state, sorted(exported(server).await)), (OutcomeState::Shown, before));
        assert_eq!(apply(server, &desired, CONFIRMED).await.state, OutcomeState::Applied);
        assert_eq!(exported(server).await.client, Some(vec![]));
    })
    .await;
}

#[tokio::test]
async fn each_mistake_of_a_state_is_named_and_nothing_is_changed() {
    on_each_engine(async |server| {
        let before = sorted(exported(server).await);
        let credential = &server.world.notes.id;
        let found = mistakes(
            server,
            json!({
                "api": [
                    {"name": "new", "identifier": "urn:new", "scopes": [{"scope": "mails:read", "description": "Read"}]},
                    {"name": "notes", "identifier": "urn:other"},
                    {"name": "fine", "identifier": "urn:fine"},
                ],
                "client": [
                    {"client_name": " ", "grant_types": ["client_credentials"], "scope": "no:such"},
                    {"client_id": server.world.spa.id, "client_name": "Spa", "grant_types": ["client_credentials"]},
                    {"client_id": credential, "client_name": "API notes"},
                ],
                "role": [
                    {"holder": ALICE, "api": "fine", "role": "admin"},
                    {"holder": "nobody", "api": "fine", "role": "admin"},
                ],
            }),
        )
        .await;
        let places: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        let expected = [
            "/client/2/client_id",
            "/role/1/holder",
            "/api/1/identifier",
            "/api/0/name",
            "/client/0/client_name",
            "/client/0/scope",
            "/client/1/scope",
            "/client/1/token_endpoint_auth_method",
            "/role/0/role",
        ];
        assert_eq!(places, expected, "{found:?}");
        let of_api = json!({"client": [{"client_id": credential, "client_name": "API notes"}]});
        let found = mistakes(server, of_api).await;
        assert!(found[0].1.contains("credential of an API"), "{found:?}");
        assert_eq!(sorted(exported(server).await), before);
    })
    .await;
}

#[tokio::test]
async fn tokens_and_keys_of_a_deleted_client_stay_ended() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let token = server.tokens(web).await["access_token"].as_str().unwrap().to_owned();
        assert_eq!(server.caller.userinfo(&token).await.status, 200);
        let whole = exported(server).await;
        let key = key(&server.app, NewKey { owner: Some(web.id.clone()), ..new_key("notes", "notes:read") }).await;
        apply(server, &state(json!({"client": []})), CONFIRMED).await;
        let again = DesiredState { client: whole.client, ..DesiredState::default() };
        let refused = state::apply(&server.app, &operator(), &again, How::default()).await.unwrap_err();
        assert!(refused.to_string().contains("left keys"), "{refused}");
        doorward_server::manage::keys::revoke(&server.app, &operator(), &key).await.unwrap();
        apply(server, &again, How::default()).await;
        assert_eq!(server.caller.userinfo(&token).await.status, 401, "it was issued in the same second");
    })
    .await;
}

#[tokio::test]
async fn runs_at_the_same_time_create_nothing_twice() {
    on_each_engine(async |server| {
        let others = [server.beside().await, server.beside().await];
        let desired = state(json!({"client": [
            {"client_name": "Race", "grant_types": ["client_credentials"], "scope": "notes:read"},
        ]}));
        tokio::join!(
            apply(server, &desired, How::default()),
            apply(&others[0], &desired, How::default()),
            apply(&others[1], &desired, How::default()),
        );
        let clients = exported(server).await.client.unwrap();
        assert_eq!(clients.iter().filter(|client| client.settings.metadata.client_name == "Race").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn limits_of_clients_are_exported_by_name_and_applied() {
    on_each_engine(async |server| {
        let (alice, bob) = (format!("user:{ALICE}"), format!("user:{BOB}"));
        let robot = |owners: &[&str]| {
            state(json!({
                "api": [{"name": "boards", "identifier": "urn:boards"}],
                "client": [{
                    "client_id": format!("cli_{}", "7".repeat(32)), "client_name": "Robot", "scope": "clients:read",
                    "grant_types": ["client_credentials"], "limited_to": ["boards"], "limited_to_owners": owners,
                }],
            }))
        };
        let keeps = How { prunes: false, ..CONFIRMED };
        assert_eq!(apply(server, &robot(&[&alice]), keeps).await.changes.len(), 2);
        assert!(apply(server, &robot(&[&alice]), keeps).await.changes.is_empty());
        let found = exported(server).await;
        let client =
            found.client.iter().flatten().find(|client| client.settings.metadata.client_name == "Robot").unwrap();
        assert_eq!(client.settings.limited_to, ["boards"]);
        let alice = client.settings.limited_to_owners[0].clone();
        assert!(alice.starts_with("usr_"), "{alice}");
        assert!(apply(server, &found, keeps).await.changes.is_empty());

        let changes = apply(server, &robot(&[&bob]), keeps).await.changes;
        assert_eq!(changes[0].members.iter().map(|member| &*member.member).collect::<Vec<_>>(), ["limited_to_owners"]);
        let missing = format!("usr_{}", "7".repeat(32));
        let refused = state::apply(&server.app, &operator(), &robot(&[&missing]), keeps).await;
        assert!(matches!(refused, Err(ManageError::Mistakes(_))), "{refused:?}");
        let skipping = How { skips_missing: true, ..keeps };
        apply(server, &robot(&[&missing]), skipping).await;
        let found = exported(server).await;
        let client =
            found.client.iter().flatten().find(|client| client.settings.metadata.client_name == "Robot").unwrap();
        assert_eq!(client.settings.limited_to_owners, [missing], "the limit stays, so that nothing is reached");
    })
    .await;
}
