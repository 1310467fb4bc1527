//! The changes that lead from the present state to a desired one.
//!
//! Easy to get wrong: the order. What is freed comes first (names, identifiers, scopes), then APIs, then what names their
//! scopes, then roles. A scope that moves from one API to another is taken from the one before the other gets it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    api::{Api, ApiMetadata, MANAGEMENT, Role},
    api_key::KeyMetadata,
    client::Client,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    desired_state::{DesiredClient, DesiredState},
    grant::audience::Apis,
    holder::{Holder, Owner},
    id::{ApiId, ClientId, KeyId},
    random::Rng,
    refusal::Mistake,
    scope::{Scope, ScopeSet},
};

/// What exists, as far as a desired state is about it: all of a kind if that is pruned, else what is named.
#[derive(Clone, Debug, Default)]
pub struct PresentState {
    /// Every API.
    pub apis: Apis,
    /// The clients, and the credentials of APIs that are named as if they were clients.
    pub clients: Vec<Client>,
    /// The holders of roles, by the names that the desired state has for them.
    pub holders: BTreeMap<String, Holder>,
    /// The owners that clients are limited to, by the names that the desired state has for them.
    pub owners: BTreeMap<String, Owner>,
    /// The keys.
    pub keys: Vec<PresentKey>,
    /// Who has which role.
    pub roles: Vec<HeldRole>,
}

/// A key that exists.
#[derive(Clone, Debug)]
pub struct PresentKey {
    /// The key.
    pub id: KeyId,
    /// What is registered of it.
    pub metadata: KeyMetadata,
    /// When it got its scopes.
    pub scope_given_at: Timestamp,
}

/// A role that somebody has, or is to have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeldRole {
    /// The user, client or key.
    pub holder: Holder,
    /// The holder as it is named in a desired state.
    pub name: String,
    /// The API that defines the role.
    pub api: Arc<Api>,
    /// The role.
    pub role: Role,
}

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    /// Withdraw a role.
    WithdrawRole(HeldRole),
    /// Delete a client.
    DeleteClient(Box<Client>),
    /// Delete an API.
    DeleteApi(Arc<Api>),
    /// Change what is registered of an API.
    UpdateApi {
        /// The API as it is.
        api: Arc<Api>,
        /// What is registered from now on.
        to: ApiMetadata,
    },
    /// Create an API.
    CreateApi(Arc<Api>),
    /// Change what is registered of a client.
    UpdateClient {
        /// The client as it is.
        client: Box<Client>,
        /// What is registered from now on.
        to: Box<ClientMetadata>,
    },
    /// Create a client.
    CreateClient {
        /// Its id.
        id: ClientId,
        /// Whether the desired state names the id: a client with it may have been deleted.
        is_named: bool,
        /// What is registered of it.
        metadata: Box<ClientMetadata>,
    },
    /// Disable a client, or enable it again.
    SwitchClient {
        /// The client.
        id: ClientId,
        /// Whether it is disabled from now on.
        disabled: bool,
    },
    /// Change the settings of a key.
    UpdateKey {
        /// The key.
        id: KeyId,
        /// What is registered from now on.
        to: KeyMetadata,
    },
    /// Grant a role.
    GrantRole(HeldRole),
}

/// The changes, in an order that can be carried out.
#[derive(Clone, Debug)]
pub struct StatePlan {
    /// The APIs as they will be.
    pub apis: Apis,
    /// Each change, with the place in the desired state that asks for it.
    pub changes: Vec<(Option<Place>, Change)>,
    /// Mistakes in what changes nothing for that reason. With any of them, nothing may be carried out.
    pub mistakes: Vec<Mistake>,
}

/// An entry of a desired state: the kind, and its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place(pub &'static str, pub usize);

impl Place {
    /// A mistake in a member of the entry.
    pub fn mistake(self, member: &str, detail: impl std::fmt::Display) -> Mistake {
        self.of(Mistake::at(member, detail))
    }

    /// A mistake in the entry as a mistake in the whole.
    pub fn of(self, mistake: Mistake) -> Mistake {
        let Self(kind, at) = self;
        mistake.within(&at.to_string()).within(kind)
    }
}

/// Plans the changes. With `prune`, what the desired state does not name is deleted, of the kinds that it has.
pub fn plan(desired: &DesiredState, present: &PresentState, prune: bool, now: Timestamp, rng: &dyn Rng) -> StatePlan {
    let mut planning = Planning { present, prune, now, rng, mistakes: Vec::new() };
    let (apis, mut changes) = planning.apis(desired.api.as_deref());
    let (clients, created) = planning.clients(desired.client.as_deref(), &apis);
    changes.extend(clients);
    changes.extend(planning.keys(desired, &apis));
    changes.extend(planning.roles(desired, &apis, &created));
    let ends = |change: &Change| match change {
        Change::DeleteApi(api) => Some(api.id.to_string()),
        Change::DeleteClient(client) => Some(client.id.to_string()),
        _ => None,
    };
    // Roles of what is deleted go with it.
    let gone: BTreeSet<_> = changes.iter().filter_map(|(_, change)| ends(change)).collect();
    changes.retain(|(_, change)| match change {
        Change::WithdrawRole(held) => !gone.contains(held.api.id.as_str()) && !gone.contains(held.holder.as_str()),
        _ => true,
    });
    changes.sort_by_key(|(_, change)| change.turn());
    StatePlan { apis, changes, mistakes: planning.mistakes }
}

impl Change {
    /// Changes of one turn can be carried out in any order.
    fn turn(&self) -> u8 {
        match self {
            // Before its roles change: a change of a key names those that it has.
            Self::UpdateKey { .. } => 0,
            Self::WithdrawRole(_) => 1,
            Self::DeleteClient(_) => 2,
            Self::DeleteApi(_) => 3,
            Self::UpdateApi { .. } => 4,
            Self::CreateApi(_) => 5,
            Self::UpdateClient { .. } | Self::CreateClient { .. } => 6,
            Self::SwitchClient { .. } => 7,
            Self::GrantRole(_) => 8,
        }
    }
}

type Changes = Vec<(Option<Place>, Change)>;

struct Planning<'a> {
    present: &'a PresentState,
    prune: bool,
    now: Timestamp,
    rng: &'a dyn Rng,
    mistakes: Vec<Mistake>,
}

impl<'a> Planning<'a> {
    /// The APIs as they will be, and the changes that lead there.
    fn apis(&mut self, desired: Option<&[ApiMetadata]>) -> (Apis, Changes) {
        let present = &self.present.apis;
        let Some(desired) = desired else { return (present.clone(), Vec::new()) };
        let (mut named, mut kept, mut created) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (at, to) in desired.iter().enumerate() {
            let place = Place("api", at);
            if to.name == MANAGEMENT {
                let why = "the management API is the server's own; a file can only say who has its roles";
                self.mistakes.push(place.mistake("name", why));
            } else if !named.insert(&to.name) {
                self.mistakes.push(place.mistake("name", "this API is there twice"));
            } else if let Some(api) = present.by_name(&to.name) {
                kept.push((place, api.clone(), to));
            } else {
                let id = ApiId::new(self.now, self.rng);
                created.push((place, Arc::new(Api { id, metadata: to.clone(), created_at: self.now })));
            }
        }
        let is_left = |api: &&Arc<Api>| api.metadata.name != MANAGEMENT && !named.contains(&api.metadata.name);
        let left: Vec<_> = present.iter().filter(is_left).cloned().collect();
        let own = present.by_name(MANAGEMENT).cloned();
        let updated = kept.iter().map(|(_, api, to)| Arc::new(Api { metadata: (*to).clone(), ..(**api).clone() }));
        let stay = if self.prune { Vec::new() } else { left.clone() };
        let will_be: Vec<_> =
            own.into_iter().chain(stay).chain(updated).chain(created.iter().map(|(_, api)| api.clone())).collect();
        let mut changes: Changes = Vec::new();
        if self.prune {
            changes.extend(left.into_iter().map(|api| (None, Change::DeleteApi(api))));
        }
        changes.extend(updates(&kept, &created));
        changes.extend(created.into_iter().map(|(place, api)| (Some(place), Change::CreateApi(api))));
        let removed: Vec<_> = changes.iter().flat_map(|(_, change)| removed_by(change)).collect();
        (present.replaced(will_be, removed, self.now), changes)
    }

    /// The changes of clients, and the ids of new ones.
    fn clients(&mut self, desired: Option<&[DesiredClient]>, apis: &Apis) -> (Changes, BTreeSet<ClientId>) {
        let (mut changes, mut created) = (Vec::new(), BTreeSet::new());
        let Some(desired) = desired else { return (changes, created) };
        let mut named: BTreeSet<_> = desired.iter().filter_map(|client| client.client_id.clone()).collect();
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        let mut owners = self.present.owners.clone();
        owners.extend(named.iter().map(|id| (id.to_string(), Owner::Client(id.clone()))));
        for (at, DesiredClient { client_id, disabled, settings }) in desired.iter().enumerate() {
            let place = Place("client", at);
            // As it is registered, so that a second run changes nothing.
            let client_name = settings.metadata.client_name.trim().to_owned();
            let metadata = ClientMetadata { client_name, ..settings.metadata.clone() };
            let found = match client_id {
                Some(id) if !ids.insert(id) => Err(("client_id", "this client is there twice".to_owned())),
                Some(id) => Ok(self.present.clients.iter().find(|client| client.id == *id)),
                None if !names.insert(metadata.client_name.clone()) => {
                    Err(("client_name", "two clients without `client_id` have this name".to_owned()))
                }
                None => self.of_name(&metadata.client_name, &ids_of(desired)),
            };
            let before = found.as_ref().ok().and_then(|found| found.map(|client| client.metadata.clone()));
            let limited = settings.to_register(&before.unwrap_or_default(), apis, &owners);
            let metadata = match limited {
                Ok(limited) => ClientMetadata { client_name: metadata.client_name, ..limited },
                Err(mistakes) => {
                    self.mistakes.extend(mistakes.into_iter().map(|mistake| place.of(mistake)));
                    metadata
                }
            };
            match found {
                Err((member, why)) => self.mistakes.push(place.mistake(member, why)),
                Ok(Some(client)) if client.api.is_some() => {
                    self.mistakes.push(place.mistake("client_id", "this is the credential of an API"));
                }
                Ok(Some(client)) => {
                    named.insert(client.id.clone());
                    if client.registered(apis) != metadata {
                        let change = Change::UpdateClient { client: Box::new(client.clone()), to: Box::new(metadata) };
                        changes.push((Some(place), change));
                    }
                    if let Some(disabled) = *disabled
                        && disabled != client.disabled_at.is_some()
                    {
                        changes.push((Some(place), Change::SwitchClient { id: client.id.clone(), disabled }));
                    }
                }
                Ok(None) => {
                    let id = client_id.clone().unwrap_or_else(|| ClientId::new(self.now, self.rng));
                    let is_named = client_id.is_some();
                    created.insert(id.clone());
                    changes.push((
                        Some(place),
                        Change::CreateClient { id: id.clone(), is_named, metadata: Box::new(metadata) },
                    ));
                    if *disabled == Some(true) {
                        changes.push((Some(place), Change::SwitchClient { id, disabled: true }));
                    }
                }
            }
        }
        if self.prune {
            let is_left = |client: &&Client| client.api.is_none() && !named.contains(&client.id);
            let left = self.present.clients.iter().filter(is_left).cloned();
            changes.extend(left.map(|client| (None, Change::DeleteClient(Box::new(client)))));
        }
        (changes, created)
    }

    /// The only client of a name, among those that are not named by id.
    fn of_name(&self, name: &str, named: &BTreeSet<&ClientId>) -> Result<Option<&'a Client>, (&'static str, String)> {
        let present = self.present;
        let has_name = |client: &&Client| client.metadata.client_name == name && client.api.is_none();
        let mut found = present.clients.iter().filter(has_name).filter(|client| !named.contains(&client.id));
        match (found.next(), found.count()) {
            (only, 0) => Ok(only),
            (_, others) => Err(("client_name", format!("{} clients have this name: add `client_id`", others + 1))),
        }
    }

    fn keys(&mut self, desired: &DesiredState, apis: &Apis) -> Changes {
        let (mut changes, mut named) = (Vec::new(), BTreeSet::new());
        for (at, key) in desired.key.iter().flatten().enumerate() {
            let place = Place("key", at);
            let found = self.present.keys.iter().find(|present| present.id == key.id);
            match found {
                _ if !named.insert(&key.id) => self.mistakes.push(place.mistake("id", "this key is there twice")),
                None => self.mistakes.push(place.mistake("id", NO_KEY)),
                Some(PresentKey { id, metadata, scope_given_at }) => {
                    let scope: ScopeSet = key.scopes.iter().cloned().collect();
                    let living = apis.living(&metadata.scope, *scope_given_at);
                    let to = KeyMetadata { name: key.name.trim().to_owned(), scope, ..metadata.clone() };
                    if to != (KeyMetadata { scope: living, ..metadata.clone() }) {
                        changes.push((Some(place), Change::UpdateKey { id: id.clone(), to }));
                    }
                }
            }
        }
        changes
    }

    fn roles(&mut self, desired: &DesiredState, apis: &Apis, created: &BTreeSet<ClientId>) -> Changes {
        let Some(roles) = &desired.role else { return Vec::new() };
        let (mut changes, mut wanted): (Changes, Vec<HeldRole>) = (Vec::new(), Vec::new());
        let is_same = |a: &HeldRole, b: &HeldRole| a.holder == b.holder && a.api.id == b.api.id && a.role == b.role;
        for (at, role) in roles.iter().enumerate() {
            let place = Place("role", at);
            let new = || ClientId::parse(&role.holder).ok().filter(|id| created.contains(id)).map(Holder::Client);
            let holder = self.present.holders.get(&role.holder).cloned().or_else(new);
            let api = apis.by_name(&role.api);
            if holder.is_none() {
                self.mistakes.push(place.mistake("holder", NO_HOLDER));
            }
            if api.is_none() {
                self.mistakes.push(place.mistake("api", "there is no API of this name"));
            }
            let (Some(holder), Some(api)) = (holder, api) else { continue };
            let held = HeldRole { holder, name: role.holder.clone(), api: api.clone(), role: role.role.clone() };
            if wanted.iter().any(|other| is_same(other, &held)) {
                continue;
            }
            if !self.present.roles.iter().any(|other| is_same(other, &held)) {
                changes.push((Some(place), Change::GrantRole(held.clone())));
            }
            wanted.push(held);
        }
        if self.prune {
            let is_left = |held: &&HeldRole| !wanted.iter().any(|other| is_same(other, held));
            let left = self.present.roles.iter().filter(is_left).cloned();
            changes.extend(left.map(|held| (None, Change::WithdrawRole(held))));
        }
        changes
    }
}

/// The scopes that a change takes from their API. A client or key that keeps one of them gets it again from the API that has it next.
fn removed_by(change: &Change) -> Vec<Scope> {
    let scopes = |api: &ApiMetadata| api.scopes.iter().map(|known| known.scope.clone()).collect::<Vec<_>>();
    match change {
        Change::DeleteApi(api) => scopes(&api.metadata),
        Change::UpdateApi { api, to } => {
            let kept = scopes(to);
            scopes(&api.metadata).into_iter().filter(|scope| !kept.contains(scope)).collect()
        }
        _ => Vec::new(),
    }
}

/// Why settings of a key can't be applied.
const NO_KEY: &str =
    "there is no such key: a file can change the settings of a key, but only `doorward key create` creates one";
/// Why a role can't be granted.
const NO_HOLDER: &str = "there is no user of this name, and no user, client or key with this id";

fn ids_of(desired: &[DesiredClient]) -> BTreeSet<&ClientId> {
    desired.iter().filter_map(|client| client.client_id.as_ref()).collect()
}

/// The updates of APIs. Those that give scopes away come first.
fn updates(kept: &[(Place, Arc<Api>, &ApiMetadata)], created: &[(Place, Arc<Api>)]) -> Changes {
    let names = |metadata: &ApiMetadata, scope: &Scope| metadata.scopes.iter().any(|known| known.scope == *scope);
    let gained = |api: &ApiId, scope: &Scope| {
        let by_others = kept.iter().filter(|(_, other, _)| other.id != *api).map(|(.., to)| *to);
        by_others.chain(created.iter().map(|(_, new)| &new.metadata)).any(|to| names(to, scope))
    };
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for (place, api, to) in kept {
        let from = &api.metadata;
        let given_away = |scope: &Scope| !names(to, scope) && gained(&api.id, scope);
        let mut narrowed = from.clone();
        narrowed.scopes.retain(|described| !given_away(&described.scope));
        let mut api = api.clone();
        if narrowed != *from {
            first.push((Some(*place), Change::UpdateApi { api: api.clone(), to: narrowed.clone() }));
            api = Arc::new(Api { metadata: narrowed, ..(*api).clone() });
        }
        if api.metadata != **to {
            then.push((Some(*place), Change::UpdateApi { api, to: (*to).clone() }));
        }
    }
    first.extend(then);
    first
}
