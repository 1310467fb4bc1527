//! Random states are planned and carried out on a model, which refuses what a database would refuse.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;

use crate::{
    api::{Api, ApiMetadata, DescribedScope, ResourceIdentifier, Role},
    client::Client,
    client_metadata::ClientMetadata,
    client_settings::ClientSettings,
    clock::Timestamp,
    desired_state::{DesiredClient, DesiredRole, DesiredState},
    grant::audience::Apis,
    holder::{Holder, Owner},
    id::ClientId,
    random::SeededRng,
    scope::Scope,
    state_plan::{Change, HeldRole, PresentState, StatePlan, plan},
};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const APIS: usize = 4;

fn client_id(number: usize) -> ClientId {
    ClientId::parse(&format!("cli_{number:032x}")).unwrap()
}

/// A state in which each scope belongs to one API at most, by which API has which scope and which client which name.
fn state() -> impl Strategy<Value = DesiredState> {
    let scopes = prop::collection::vec(prop::option::of(0..APIS), 6);
    let exists = prop::collection::vec(any::<bool>(), APIS);
    let clients = prop::collection::vec(prop::option::of((0..3_u8, prop::option::of(any::<bool>()))), 3);
    let roles = prop::collection::btree_set((0..3_usize, 0..APIS), 0..4);
    (scopes, exists, clients, roles).prop_map(|(scopes, exists, clients, roles)| {
        let api = |number: usize| {
            let owned = scopes.iter().enumerate().filter(|(_, owner)| **owner == Some(number));
            let described = owned.map(|(at, _)| DescribedScope {
                scope: Scope::parse(&format!("s:{at}")).unwrap(),
                description: "Do it".into(),
            });
            let identifier = ResourceIdentifier::parse(&format!("urn:api:{number}")).unwrap();
            ApiMetadata { scopes: described.collect(), ..ApiMetadata::new(format!("api{number}"), identifier) }
        };
        let client = |(number, kind): (usize, &Option<(u8, Option<bool>)>)| {
            let (name, disabled) = (*kind)?;
            let metadata = ClientMetadata { client_name: format!("App {name}"), ..ClientMetadata::default() };
            Some(DesiredClient { client_id: Some(client_id(number)), disabled, settings: metadata.into() })
        };
        let is_there = |(holder, at): &(usize, usize)| exists[*at] && clients[*holder].is_some();
        let role = |(holder, at): (usize, usize)| DesiredRole {
            holder: client_id(holder).to_string(),
            api: format!("api{at}"),
            role: Role::parse("admin").unwrap(),
        };
        DesiredState {
            api: Some((0..APIS).filter(|number| exists[*number]).map(api).collect()),
            client: Some(clients.iter().enumerate().filter_map(client).collect()),
            role: Some(roles.iter().copied().filter(is_there).map(role).collect()),
            key: None,
        }
    })
}

/// Carries changes out one by one, as a database does.
fn carry_out(mut present: PresentState, plan: StatePlan) -> PresentState {
    for (_, change) in plan.changes {
        let mut apis: Vec<_> = present.apis.iter().cloned().collect();
        match change {
            Change::CreateApi(api) => apis.push(api),
            Change::UpdateApi { api, to } => {
                let at = apis.iter().position(|known| known.id == api.id).unwrap();
                assert_eq!(apis[at].metadata, api.metadata, "it starts from what is there");
                apis[at] = Arc::new(Api { metadata: to, ..(*api).clone() });
            }
            Change::DeleteApi(api) => {
                apis.retain(|known| known.id != api.id);
                present.roles.retain(|held| held.api.id != api.id);
            }
            Change::CreateClient { id, metadata, .. } => {
                assert!(present.clients.iter().all(|known| known.id != id));
                present.clients.push(Client::new(id, *metadata, NOW));
            }
            Change::UpdateClient { client, to } => {
                let client = find(&mut present, &client.id);
                let (from, since) = (&client.metadata.scope, client.scope_given_at());
                client.scope_given_at = Some(plan.apis.given_at(&to.scope, from, since, NOW));
                client.metadata = *to;
            }
            Change::SwitchClient { id, disabled } => {
                let client = find(&mut present, &id);
                assert_ne!(client.disabled_at.is_some(), disabled);
                client.disabled_at = disabled.then_some(NOW);
            }
            Change::DeleteClient(client) => {
                present.clients.retain(|known| known.id != client.id);
                present.roles.retain(|held| held.holder.as_str() != client.id.as_str());
            }
            Change::GrantRole(held) => {
                assert!(
                    apis.iter().any(|api| api.id == held.api.id) && !present.roles.iter().any(|own| same(own, &held))
                );
                assert!(present.clients.iter().any(|client| client.id.as_str() == held.holder.as_str()));
                present.roles.push(held);
            }
            Change::WithdrawRole(held) => {
                let before = present.roles.len();
                present.roles.retain(|own| !same(own, &held));
                assert_eq!(present.roles.len(), before - 1);
            }
            Change::UpdateKey { .. } => unreachable!("there are no keys"),
        }
        let mut scopes: Vec<_> = apis.iter().flat_map(|api| &api.metadata.scopes).map(|known| &known.scope).collect();
        let (all, names) = (scopes.len(), apis.iter().map(|api| &api.metadata.name).collect::<BTreeSet<_>>().len());
        scopes.sort();
        scopes.dedup();
        assert_eq!((scopes.len(), names), (all, apis.len()), "names and scopes are unique after each change");
        present.apis = Apis::new(apis);
    }
    present.holders =
        present.clients.iter().map(|client| (client.id.to_string(), Holder::Client(client.id.clone()))).collect();
    present
}

fn same(one: &HeldRole, other: &HeldRole) -> bool {
    (&one.holder, &one.api.id, &one.role) == (&other.holder, &other.api.id, &other.role)
}

fn find<'a>(present: &'a mut PresentState, id: &ClientId) -> &'a mut Client {
    present.clients.iter_mut().find(|client| client.id == *id).unwrap()
}

fn names(present: &PresentState) -> (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>) {
    let scopes =
        |api: &Api| api.metadata.scopes.iter().map(|known| known.scope.to_string()).collect::<Vec<_>>().join(" ");
    (
        present.apis.iter().map(|api| format!("{} {}", api.metadata.name, scopes(api))).collect(),
        present.clients.iter().map(|client| format!("{} {}", client.id, client.metadata.client_name)).collect(),
        present.roles.iter().map(|held| format!("{} {}", held.holder.as_str(), held.api.metadata.name)).collect(),
    )
}

/// Plans with random values that no earlier plan had.
fn planned(rng: &SeededRng, desired: &DesiredState, present: &PresentState, prune: bool) -> StatePlan {
    let planned = plan(desired, present, prune, NOW, rng);
    assert_eq!(planned.mistakes, []);
    planned
}

proptest! {
    #[test]
    fn pruning_reaches_the_same_state_from_any_other(from in state(), to in state()) {
        let (empty, rng) = (PresentState::default(), SeededRng::new(1));
        let expected = carry_out(empty.clone(), planned(&rng, &to, &empty, true));
        let first = carry_out(empty.clone(), planned(&rng, &from, &empty, true));
        let second = carry_out(first.clone(), planned(&rng, &to, &first, true));
        prop_assert_eq!(names(&second), names(&expected));
        prop_assert!(planned(&rng, &to, &second, true).changes.is_empty(), "a second time changes nothing");
    }

    #[test]
    fn without_pruning_nothing_is_deleted(from in state(), to in state()) {
        let (empty, rng) = (PresentState::default(), SeededRng::new(1));
        let first = carry_out(empty.clone(), planned(&rng, &from, &empty, false));
        let is_deletion = |change: &Change| {
            matches!(change, Change::DeleteApi(_) | Change::DeleteClient(_) | Change::WithdrawRole(_))
        };
        // A scope that the state gives to one API may still be another's, which is a conflict.
        let stays = DesiredState { api: from.api, ..to };
        let roles = stays.role.iter().flatten().filter(|role| first.apis.by_name(&role.api).is_some()).cloned();
        let to = DesiredState { role: Some(roles.collect()), ..stays };
        let plan = planned(&rng, &to, &first, false);
        prop_assert!(!plan.changes.iter().any(|(_, change)| is_deletion(change)));
        let second = carry_out(first, plan);
        prop_assert!(planned(&rng, &to, &second, false).changes.is_empty());
    }
}

#[test]
fn scopes_that_two_apis_exchange_move_without_conflict() {
    let api = |number: usize, scope: &str| {
        let scopes = vec![DescribedScope { scope: Scope::parse(scope).unwrap(), description: "Do it".into() }];
        let identifier = ResourceIdentifier::parse(&format!("urn:api:{number}")).unwrap();
        ApiMetadata { scopes, ..ApiMetadata::new(format!("api{number}"), identifier) }
    };
    let of = |apis| DesiredState { api: Some(apis), ..DesiredState::default() };
    let (empty, rng) = (PresentState::default(), SeededRng::new(1));
    let first = of(vec![api(1, "a"), api(2, "b")]);
    let present = carry_out(empty.clone(), planned(&rng, &first, &empty, false));
    let exchanged = planned(&rng, &of(vec![api(1, "b"), api(2, "a")]), &present, false);
    assert_eq!(exchanged.changes.len(), 4);
    carry_out(present, exchanged);
}

#[test]
fn each_entry_that_can_not_be_meant_is_named() {
    let empty = PresentState::default();
    let api = |name: &str| ApiMetadata::new(name, ResourceIdentifier::parse(&format!("urn:{name}")).unwrap());
    let client = |client_id, name: &str| DesiredClient {
        client_id,
        disabled: None,
        settings: ClientMetadata { client_name: name.into(), ..ClientMetadata::default() }.into(),
    };
    let role = |holder: &str, api: &str| DesiredRole {
        holder: holder.into(),
        api: api.into(),
        role: Role::parse("admin").unwrap(),
    };
    let named = || Some(client_id(1));
    let desired = DesiredState {
        api: Some(vec![api("doorward"), api("notes"), api("notes")]),
        client: Some(vec![client(named(), "a"), client(named(), "b"), client(None, "c"), client(None, " c")]),
        role: Some(vec![role("ada", "notes"), role(client_id(1).as_str(), "mails")]),
        key: None,
    };
    let mistakes = plan(&desired, &empty, false, NOW, &SeededRng::new(1)).mistakes;
    let places: Vec<_> = mistakes.iter().map(|mistake| mistake.pointer.as_str()).collect();
    let expected =
        ["/api/0/name", "/api/2/name", "/client/1/client_id", "/client/3/client_name", "/role/0/holder", "/role/1/api"];
    assert_eq!(places, expected);
}

#[test]
fn client_without_id_is_the_only_one_of_its_name() {
    let of = |number, name: &str| {
        Client::new(client_id(number), ClientMetadata { client_name: name.into(), ..ClientMetadata::default() }, NOW)
    };
    let present = PresentState { clients: vec![of(1, "App"), of(2, "Job"), of(3, "Job")], ..PresentState::default() };
    let planned = |name: &str| {
        let metadata = ClientMetadata { client_name: name.into(), ..ClientMetadata::default() };
        let client = DesiredClient { client_id: None, disabled: None, settings: metadata.into() };
        let desired = DesiredState { client: Some(vec![client]), ..DesiredState::default() };
        plan(&desired, &present, false, NOW, &SeededRng::new(1))
    };
    let changes = |name| Some(planned(name)).filter(|plan| plan.mistakes.is_empty()).map(|plan| plan.changes.len());
    assert_eq!((changes("App"), changes("New"), changes("Job")), (Some(0), Some(1), None));
    assert!(planned("Job").mistakes[0].detail.contains("2 clients have this name"));
}

#[test]
fn limits_of_a_client_name_apis_and_owners_of_the_same_file() {
    let api = ApiMetadata::new("notes", ResourceIdentifier::parse("urn:notes").unwrap());
    let of = |limited_to: &[&str], owners: &[&str]| {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings =
            ClientSettings { limited_to: texts(limited_to), limited_to_owners: texts(owners), ..Default::default() };
        DesiredState {
            api: Some(vec![api.clone()]),
            client: Some(vec![DesiredClient { client_id: Some(client_id(1)), disabled: None, settings }]),
            ..DesiredState::default()
        }
    };
    let (empty, rng) = (PresentState::default(), SeededRng::new(1));
    let wanted = of(&["notes"], &[client_id(1).as_str()]);
    let present = carry_out(empty.clone(), planned(&rng, &wanted, &empty, false));
    let limits = present.clients[0].metadata.limits();
    assert_eq!(limits.apis, [present.apis.by_name("notes").unwrap().id.clone()]);
    assert_eq!(limits.owners, [Owner::Client(client_id(1))]);
    assert!(planned(&rng, &wanted, &present, false).changes.is_empty());
    let unknown = plan(&of(&["notes", "mails"], &["ada"]), &present, false, NOW, &rng).mistakes;
    let places: Vec<_> = unknown.iter().map(|mistake| mistake.pointer.as_str()).collect();
    assert_eq!(places, ["/client/0/limited_to/1", "/client/0/limited_to_owners/0"]);
}
