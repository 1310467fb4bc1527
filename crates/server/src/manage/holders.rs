//! APIs, owners and holders that a request names, found for those whose rights reach them.
//!
//! Easy to get wrong: a body that names what is beyond the caller's rights gets the same answer as one that names what
//! does not exist. Otherwise a limited caller learns what there is, or acts for others (CVE-2025-61928).

use std::{collections::BTreeMap, sync::Arc};

use doorward_core::{
    api::Api,
    grant::audience::Apis,
    holder::{Holder, InvalidOwner, Owner},
    refusal::Mistake,
};

use super::ManageError;
use crate::{actor::Actor, app::App};

/// The start of an owner that is the name of a user. A bare name is the API's own id of a customer: a user must not get what
/// is meant for a customer by choosing its name.
const NAME_OF_USER: &str = "user:";

/// The owner of this name, if the caller's rights reach it: a client's or user's id, a user's name behind `user:`, or the
/// API's own id of a customer. Fails with [`ManageError::NotFound`] for all others.
pub async fn owner_within(app: &App, actor: &Actor, name: &str) -> Result<Owner, ManageError> {
    let found = owner(app, name).await?;
    match actor.rights.reach_owner(found.as_str()) {
        true => Ok(found),
        false => Err(unknown_owner(name)),
    }
}

/// The owner that an id names, or a user's name behind `user:`.
pub(super) async fn owner(app: &App, name: &str) -> Result<Owner, ManageError> {
    if let Some(username) = name.strip_prefix(NAME_OF_USER) {
        return Ok(Owner::User(super::users::find(app, username).await?.id));
    }
    match name.parse() {
        Ok(Owner::Client(id)) => Ok(Owner::Client(super::clients::find(app, id.as_str()).await?.id)),
        Ok(Owner::User(id)) => Ok(Owner::User(super::users::find(app, id.as_str()).await?.id)),
        Ok(external @ Owner::External(_)) => Ok(external),
        Err(_) => Err(ManageError::NotFound { kind: "owner", name: name.to_owned() }),
    }
}

/// Why a text can't name an owner at all.
fn mistake_in_owner(name: &str) -> Option<InvalidOwner> {
    if name.starts_with(NAME_OF_USER) {
        return None;
    }
    name.parse::<Owner>().err()
}

/// The owners of these names, as far as they exist and the caller's rights reach them.
pub(super) async fn owners(app: &App, actor: &Actor, names: &[String]) -> Result<BTreeMap<String, Owner>, ManageError> {
    let mut found = BTreeMap::new();
    for name in names {
        match owner_within(app, actor, name).await {
            Ok(owner) => drop(found.insert(name.clone(), owner)),
            Err(ManageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The holder that an id names, or a user's name.
pub(super) async fn holder(app: &App, name: &str) -> Result<Holder, ManageError> {
    match name.parse() {
        Ok(Holder::Client(id)) => Ok(Holder::Client(super::clients::find(app, id.as_str()).await?.id)),
        Ok(Holder::Key(id)) => Ok(Holder::Key(super::keys::find(app, id.as_str()).await?.key.id)),
        Ok(Holder::User(_)) | Err(_) => Ok(Holder::User(super::users::find(app, name).await?.id)),
    }
}

/// What a body names, with all the mistakes in it.
pub(super) struct Named<'a> {
    app: &'a App,
    actor: &'a Actor,
    known: Apis,
    mistakes: Vec<Mistake>,
}

impl<'a> Named<'a> {
    pub(super) async fn new(app: &'a App, actor: &'a Actor) -> Result<Self, ManageError> {
        Ok(Self { app, actor, known: super::apis::all(app).await?, mistakes: Vec::new() })
    }

    /// The APIs of these names in a member, in their order, each once.
    pub(super) fn apis(&mut self, member: &str, names: &[String]) -> Vec<Arc<Api>> {
        let mut found: Vec<Arc<Api>> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match super::apis::named(&self.known, name) {
                Ok(api) if !self.actor.rights.reach_api(&api.id) => {
                    self.mistakes.push(Mistake::at_element(member, index, super::apis::unknown(name)));
                }
                Ok(api) if found.iter().any(|before| before.id == api.id) => {}
                Ok(api) => found.push(api.clone()),
                Err(error) => self.mistakes.push(Mistake::at_element(member, index, error)),
            }
        }
        found
    }

    /// The API of this name in a member.
    pub(super) fn api(&mut self, member: &str, name: &str) -> Option<Arc<Api>> {
        self.api_at(name, |error| Mistake::at(member, error))
    }

    /// The API of this name, whose place `at` knows.
    pub(super) fn api_at(&mut self, name: &str, at: impl FnOnce(ManageError) -> Mistake) -> Option<Arc<Api>> {
        match super::apis::named(&self.known, name) {
            Ok(api) if self.actor.rights.reach_api(&api.id) => return Some(api.clone()),
            Ok(_) => self.mistakes.push(at(super::apis::unknown(name))),
            Err(error) => self.mistakes.push(at(error)),
        }
        None
    }

    /// The owner of this name, whose place `at` knows.
    pub(super) async fn owner(
        &mut self,
        name: &str,
        at: impl FnOnce(String) -> Mistake,
    ) -> Result<Option<Owner>, ManageError> {
        if let Some(why) = mistake_in_owner(name) {
            self.mistakes.push(at(why.to_string()));
            return Ok(None);
        }
        let found = owner_within(self.app, self.actor, name).await;
        self.reached(found, |_| true, || unknown_owner(name), |error| at(error.to_string()))
    }

    /// The holder of this name in a member.
    pub(super) async fn holder(&mut self, member: &str, name: &str) -> Result<Option<Holder>, ManageError> {
        let found = holder(self.app, name).await;
        let actor = self.actor;
        let is_reached = |holder: &Holder| actor.rights.reach_owner(holder.as_str());
        let beyond = || match name.parse() {
            Ok(Holder::Key(_)) => ManageError::NotFound { kind: "key", name: name.to_owned() },
            Ok(Holder::Client(_)) => ManageError::NotFound { kind: "client", name: name.to_owned() },
            Ok(Holder::User(_)) | Err(_) => ManageError::NotFound { kind: "user", name: name.to_owned() },
        };
        self.reached(found, is_reached, beyond, |error| Mistake::at(member, error))
    }

    fn reached<T>(
        &mut self,
        found: Result<T, ManageError>,
        is_reached: impl FnOnce(&T) -> bool,
        beyond: impl FnOnce() -> ManageError,
        at: impl FnOnce(ManageError) -> Mistake,
    ) -> Result<Option<T>, ManageError> {
        match found {
            Ok(found) if is_reached(&found) => return Ok(Some(found)),
            Ok(_) => self.mistakes.push(at(beyond())),
            Err(error @ ManageError::NotFound { .. }) => self.mistakes.push(at(error)),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// Whether everything that was named until now is there.
    pub(super) fn are_all_known(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// All APIs, if everything that was named is there.
    pub(super) fn finish(self) -> Result<Apis, Vec<Mistake>> {
        let Self { known, mistakes, .. } = self;
        Mistake::none(mistakes.into_iter().map(Mistake::of_unknown).collect())?;
        Ok(known)
    }
}

/// What is said of an owner that is not there.
fn unknown_owner(name: &str) -> ManageError {
    let (kind, name) = match name.parse() {
        Ok(Owner::Client(_)) => ("client", name),
        Ok(Owner::User(_)) => ("user", name),
        Ok(Owner::External(_)) => ("owner", name),
        Err(InvalidOwner) => ("user", name.strip_prefix(NAME_OF_USER).unwrap_or(name)),
    };
    ManageError::NotFound { kind, name: name.to_owned() }
}
