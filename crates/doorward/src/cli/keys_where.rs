//! `doorward key revoke --where …`: all keys that match some conditions.

use std::str::FromStr;

use doorward_core::scope::Scope;
use doorward_server::{
    App,
    actor::Actor,
    manage::keys::{self, Conditions, CountOf, KeyView, MatchingKeys},
};
use serde_json::json;

use super::{confirmation::Confirmation, moment::Moment};
use crate::{
    failure::Failure,
    output::{Output, table, time, warn},
};

/// One condition, as NAME=VALUE.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Api(String),
    CreatedBy(String),
    CreatedSince(Moment),
    CreatedUntil(Moment),
    Owner(String),
    Scope(Scope),
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        if value.is_empty() {
            return Err(format!("write NAME=VALUE; the names are {NAMES}"));
        }
        let text = value.to_owned();
        Ok(match name {
            "api" => Self::Api(text),
            "created_by" => Self::CreatedBy(text),
            "created_since" => Self::CreatedSince(value.parse()?),
            "created_until" => Self::CreatedUntil(value.parse()?),
            "owner" => Self::Owner(text),
            "scope" => Self::Scope(Scope::parse(value).map_err(|error| error.to_string())?),
            _ => return Err(format!("the names are {NAMES}")),
        })
    }
}

const NAMES: &str = "api, created_by, created_since, created_until, owner and scope";

/// All conditions together. None is given twice: only keys that match both would be meant, which is most likely a mistake.
fn together(given: Vec<Condition>, app: &App) -> Result<Conditions, Failure> {
    let (mut all, count, now) = (Conditions::default(), given.len(), app.now());
    for condition in given {
        match condition {
            Condition::Api(api) => all.api = Some(api),
            Condition::CreatedBy(creator) => all.created_by = Some(creator),
            Condition::CreatedSince(moment) => all.created_since = Some(moment.at(now)),
            Condition::CreatedUntil(moment) => all.created_until = Some(moment.at(now)),
            Condition::Owner(owner) => all.owner = Some(owner),
            Condition::Scope(scope) => all.scope = Some(scope),
        }
    }
    let Conditions { owner, api, scope, created_by, created_since, created_until } = &all;
    let named = [owner.is_some(), api.is_some(), scope.is_some(), created_by.is_some()];
    let named = named.into_iter().chain([created_since.is_some(), created_until.is_some()]);
    match named.filter(|is_named| *is_named).count() == count {
        true => Ok(all),
        false => {
            Err(Failure::Usage("--where: give each condition once, and run the command for each value".to_owned()))
        }
    }
}

/// Revokes all keys that match, or counts and lists them.
pub(super) async fn run(
    given: Vec<Condition>,
    confirmation: Confirmation,
    app: &App,
    actor: &Actor,
    output: Output,
) -> Result<(), Failure> {
    let (asked, is_dry) = (together(given, app)?, confirmation.dry_run);
    let found = match is_dry {
        true => keys::matching(app, actor, &asked).await?,
        false => keys::revoke_matching(app, actor, &asked, confirmation.confirm).await?,
    };
    let mut value = json!(found);
    value["dry_run"] = is_dry.into();
    output.print(&value, || text(&found, is_dry))?;
    if found.beyond_rights > 0 {
        warn(&format!("{} more keys match that you have no right to revoke", found.beyond_rights));
    }
    Ok(())
}

fn text(found: &MatchingKeys, is_dry: bool) -> String {
    let keys = if found.count == 1 { "1 key".to_owned() } else { format!("{} keys", found.count) };
    if !is_dry {
        return format!("Revoked: {keys}.");
    }
    let counts = |title, counts: &[CountOf]| match counts {
        [] => String::new(),
        counts => table([title, "KEYS"], counts.iter().map(|of| [of.name.clone(), of.count.to_string()])) + "\n\n",
    };
    let row = |key: &KeyView| {
        let owner = key.owner.as_ref().map(ToString::to_string).unwrap_or_default();
        let creator = key.created_by.clone().unwrap_or_default();
        [format!("{}…", key.hint), key.name.clone(), owner, time(key.created_at), creator, key.id.to_string()]
    };
    let (by_api, by_owner) = (counts("API", &found.by_api), counts("OWNER", &found.by_owner));
    let first = match &found.keys[..] {
        [] => String::new(),
        first => table(["KEY", "NAME", "OWNER", "CREATED", "CREATED BY", "ID"], first.iter().map(row)) + "\n\n",
    };
    let rest = found.count - found.keys.len();
    let rest = if rest == 0 { String::new() } else { format!("And {rest} more. ") };
    format!("{by_api}{by_owner}{first}{rest}This revokes {keys}. Nothing was changed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_is_a_known_name_with_a_value() {
        assert_eq!("owner=user:ada".parse(), Ok(Condition::Owner("user:ada".to_owned())));
        assert_eq!("api=a=b".parse(), Ok(Condition::Api("a=b".to_owned())));
        for wrong in ["owner", "owner=", "name=ci", "created_since=yesterday", "scope=a b"] {
            assert!(wrong.parse::<Condition>().is_err(), "{wrong}");
        }
    }
}
