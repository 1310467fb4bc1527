//! All keys that match some conditions, as after a breach: counted and listed first, and revoked in one transaction.

use std::collections::BTreeMap;

use doorward_core::{
    clock::Timestamp,
    id::KeyId,
    key_selection::KeySelection,
    refusal::Mistake,
    scope::{Scope, ScopeSet},
};
use doorward_store::{
    audit::AuditContext,
    keys::{FindShownKey, FoundKey, RevokeKeys, SelectKeys, Selected},
    uses::{Count, Uses},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::KeyView;
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, apis, holders::Named, times, uses},
};

/// The most keys that one selection looks at: about half a second of SQLite's one writer, see `docs/decisions/0047`.
pub const MOST: usize = 50_000;

/// Keys that are listed first.
const LISTED: usize = 20;
/// Owners that are counted by name, those with the most keys first.
const COUNTED: usize = 100;

/// The conditions, as a caller gives them. Each that is given leaves fewer keys.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Only keys of this owner: a client's id, a user's id, `user:NAME`, or the API's own id of a customer.
    pub owner: Option<String>,
    /// Only keys that name this API, by name, id or identifier.
    pub api: Option<String>,
    /// Only keys that were given this scope.
    pub scope: Option<Scope>,
    /// Only keys that this user, client, key or person at the command line created.
    pub created_by: Option<String>,
    /// Only keys that were created then or later.
    pub created_since: Option<Timestamp>,
    /// Only keys that were created before then.
    pub created_until: Option<Timestamp>,
}

/// The keys that match, and are not revoked.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = MatchingKeys)]
pub struct MatchingKeys {
    /// How many.
    pub count: usize,
    /// How many of them name each API, by its name or id.
    pub by_api: Vec<CountOf>,
    /// How many belong to each owner, the most first: at most 100 owners. Keys without an owner have none here.
    pub by_owner: Vec<CountOf>,
    /// The first of them: at most 20.
    pub keys: Vec<KeyView>,
    /// How many others match that have rights which the caller lacks. They are left out.
    pub beyond_rights: usize,
}

/// How many keys one API or owner has.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = KeyCount)]
pub struct CountOf {
    /// The API's name or id, or the owner's id.
    pub name: String,
    /// How many keys.
    pub count: usize,
}

/// Counts and lists the keys that match. Changes nothing.
pub async fn matching(app: &App, actor: &Actor, asked: &Conditions) -> Result<MatchingKeys, ManageError> {
    match plan(app, actor, asked).await? {
        None => Ok(MatchingKeys::default()),
        Some(select) => shown(app, app.store.read(select).await?, asked).await,
    }
}

/// Revokes all keys that match, in one transaction, and gives what was revoked. Refused if there are any, unless it is
/// confirmed.
pub async fn revoke_matching(
    app: &App,
    actor: &Actor,
    asked: &Conditions,
    is_confirmed: bool,
) -> Result<MatchingKeys, ManageError> {
    let Some(select) = plan(app, actor, asked).await? else { return Ok(MatchingKeys::default()) };
    if !is_confirmed {
        let MatchingKeys { count, .. } = shown(app, app.store.read(select.clone()).await?, asked).await?;
        uses::check_ends(Uses { keys: Count { number: count, is_more: false }, ..Uses::default() }, false)?;
    }
    let audit = described(app.audit(actor), asked);
    let revoked = app.commit(RevokeKeys { select, now: app.now(), audit }).await?;
    shown(app, revoked, asked).await
}

/// The selection that is asked for; none if no API has the scope. What is named must be there: a slip must not look as if there
/// were no keys.
async fn plan(app: &App, actor: &Actor, asked: &Conditions) -> Result<Option<SelectKeys>, ManageError> {
    let mut named = Named::new(app, actor).await?;
    let owner = match &asked.owner {
        Some(name) => named.owner(name, |why| Mistake::at("owner", why)).await?,
        None => None,
    };
    let api = asked.api.as_ref().and_then(|name| named.api("api", name)).map(|api| api.id.clone());
    let known = named.finish()?;
    let api = match (api, &asked.scope) {
        // A scope belongs to one API, whose keys have an index.
        (None, Some(scope)) => match known.iter().find(|api| api.has_scope(scope)) {
            Some(api) => Some(api.id.clone()),
            None => return Ok(None),
        },
        (api, _) => api,
    };
    let selection = KeySelection {
        owner,
        api,
        scope: asked.scope.clone(),
        created_by: asked.created_by.clone(),
        created_since: asked.created_since,
        created_until: asked.created_until,
    };
    match selection.is_of_all() {
        true => Err(ManageError::invalid("", "name at least one condition")),
        false => Ok(Some(SelectKeys { selection, rights: actor.rights.clone(), most: MOST })),
    }
}

/// What the audit says of the conditions.
fn described(mut audit: AuditContext, asked: &Conditions) -> AuditContext {
    let scope = asked.scope.as_ref().map(|scope| ScopeSet::from_iter([scope.clone()]).to_string());
    let [since, until] = [asked.created_since, asked.created_until].map(|at| at.map(times::rfc3339));
    let conditions = [
        ("owner", asked.owner.clone()),
        ("api", asked.api.clone()),
        ("scope", scope),
        ("created_by", asked.created_by.clone()),
        ("created_since", since),
        ("created_until", until),
    ];
    for (name, value) in conditions {
        if let Some(value) = value {
            audit = audit.with(name, value);
        }
    }
    audit
}

async fn shown(app: &App, selected: Selected, asked: &Conditions) -> Result<MatchingKeys, ManageError> {
    let (keys, beyond_rights) = match selected {
        Selected::All { keys, beyond_rights } => (keys, beyond_rights),
        Selected::TooMany { before } => return Err(too_many(before, asked)),
    };
    let known = apis::all(app).await?;
    let name = |id: &_| known.by_id(id).map_or_else(|| format!("{id}"), |api| api.metadata.name.clone());
    let by_api = counted(keys.iter().flat_map(|key| &key.apis).map(name));
    let mut by_owner = counted(keys.iter().filter_map(|key| Some(key.owner.as_ref()?.to_string())));
    by_owner.truncate(COUNTED);
    let listed: Vec<KeyId> = keys.iter().take(LISTED).map(|key: &FoundKey| key.id.clone()).collect();
    let mut views = Vec::new();
    for id in listed {
        let found = app.store.read(FindShownKey { id }).await?;
        views.extend(found.map(|found| KeyView::of(found, &known, app.now())));
    }
    KeyView::show_what_is_left_of(&mut views, app).await?;
    Ok(MatchingKeys { count: keys.len(), by_api, by_owner, keys: views, beyond_rights })
}

/// How often each name occurs, the most first.
fn counted(names: impl Iterator<Item = String>) -> Vec<CountOf> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(name, count)| CountOf { name, count }).collect();
    counts.sort_by_key(|of| std::cmp::Reverse(of.count));
    counts
}

fn too_many(before: Option<Timestamp>, asked: &Conditions) -> ManageError {
    // Times are written to the second. More keys than that in one second are divided by another condition.
    let before = before.map(|at| Timestamp::from_secs(at.as_secs()));
    let before = before.filter(|at| asked.created_since.is_none_or(|since| since < *at)).map(times::rfc3339);
    let why = match before {
        Some(at) => {
            format!("more than {MOST} keys: revoke those created until {at} first, and then those created since")
        }
        None => format!("more than {MOST} keys: add a condition, such as created_since and created_until"),
    };
    ManageError::invalid("created_until", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(error: ManageError) -> String {
        error.to_string()
    }

    #[test]
    fn too_many_keys_are_divided_by_a_time_if_there_is_one() {
        let at = Timestamp::from_millis(1_800_000_000_999);
        let all = Conditions::default();
        assert!(places(too_many(Some(at), &all)).contains("until 2027-01-15T08:00:00Z first"));
        let same_second = Conditions { created_since: Some(Timestamp::from_secs(1_800_000_000)), ..all.clone() };
        for (before, asked) in [(None, all), (Some(at), same_second)] {
            assert!(places(too_many(before, &asked)).contains("add a condition"));
        }
    }

    #[test]
    fn names_are_counted_with_the_most_first() {
        let names = ["b", "a", "b", "c"].map(str::to_owned);
        let of = |name: &str, count| CountOf { name: name.to_owned(), count };
        assert_eq!(counted(names.into_iter()), [of("b", 2), of("a", 1), of("c", 1)]);
    }
}
