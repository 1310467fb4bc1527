//! What is registered of a client, as callers send it and as it is shown: its limits name APIs and owners as people do.
//!
//! Easy to get wrong: a limit to something that was deleted stays, by its id. Without it the client would have no limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{client::Client, client_metadata::ClientMetadata, grant::audience::Apis, holder::Owner, refusal::Mistake};

/// What is registered of a client, as callers send it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientSettings {
    /// What names neither APIs nor owners.
    #[serde(flatten)]
    pub metadata: ClientMetadata,
    /// Of a client of the management API: the APIs that it may manage, by name, id or identifier; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited_to: Vec<String>,
    /// Of a client of the management API: the owners whose things it may manage, by id or a user's name; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited_to_owners: Vec<String>,
}

impl ClientSettings {
    /// Those of a client beside these APIs.
    pub fn of(client: &Client, apis: &Apis) -> Self {
        Self::named(client.registered(apis), apis)
    }

    /// What is registered, with limits to these APIs by name. Owners keep their ids: a name can become somebody else's.
    pub fn named(registered: ClientMetadata, apis: &Apis) -> Self {
        let name_or_id = |id| apis.by_id(id).map_or_else(|| String::from(id.as_str()), |api| api.metadata.name.clone());
        Self {
            limited_to: registered.limited_to.iter().map(name_or_id).collect(),
            limited_to_owners: registered.limited_to_owners.iter().map(Owner::to_string).collect(),
            metadata: ClientMetadata { limited_to: Vec::new(), limited_to_owners: Vec::new(), ..registered },
        }
    }

    /// The metadata to register. APIs are found among `apis`, and owners by the names that the settings have for them.
    /// What the client was limited to before may stay, also if it was deleted.
    pub fn to_register(
        &self,
        before: &ClientMetadata,
        apis: &Apis,
        owners: &BTreeMap<String, Owner>,
    ) -> Result<ClientMetadata, Vec<Mistake>> {
        let api = |name: &str| {
            let kept = || before.limited_to.iter().find(|id| id.as_str() == name);
            apis.named(name).map(|api| &api.id).or_else(kept).cloned()
        };
        let owner = |name: &str| {
            let kept = || before.limited_to_owners.iter().find(|owner| owner.as_str() == name);
            owners.get(name).or_else(kept).cloned()
        };
        let limited_to = each_once("limited_to", "API", &self.limited_to, api);
        let limited_to_owners = each_once("limited_to_owners", "client or user", &self.limited_to_owners, owner);
        let (limited_to, limited_to_owners) = Mistake::none_in_both(limited_to, limited_to_owners)?;
        Ok(ClientMetadata { limited_to, limited_to_owners, ..self.metadata.clone() })
    }
}

/// What the names in a member mean, each once, or a mistake for each name that means nothing.
fn each_once<T: PartialEq>(
    member: &str,
    kind: &str,
    names: &[String],
    find: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Vec<Mistake>> {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for (index, name) in names.iter().enumerate() {
        match find(name) {
            Some(one) if found.contains(&one) => {}
            Some(one) => found.push(one),
            None => {
                mistakes.push(Mistake::at_element(member, index, format!("there is no {kind} {name:?}")).of_unknown())
            }
        }
    }
    Mistake::none(mistakes).map(|()| found)
}

impl From<ClientMetadata> for ClientSettings {
    /// Settings without limits.
    fn from(metadata: ClientMetadata) -> Self {
        let metadata = ClientMetadata { limited_to: Vec::new(), limited_to_owners: Vec::new(), ..metadata };
        Self { metadata, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::Timestamp,
        id::{ApiId, ClientId},
        random::SeededRng,
        refusal::tests::places,
    };

    #[test]
    fn limits_are_shown_by_name_and_stay_after_a_deletion() {
        let (now, rng) = (Timestamp::from_secs(1), SeededRng::new(1));
        let apis = crate::grant::audience::tests::apis();
        let (known, deleted) = (apis.iter().next().unwrap().clone(), ApiId::new(now, &rng));
        let owner = Owner::Client(ClientId::new(now, &rng));
        let metadata = ClientMetadata {
            limited_to: vec![known.id.clone(), deleted.clone()],
            limited_to_owners: vec![owner.clone()],
            ..ClientMetadata::default()
        };
        let shown = ClientSettings::of(&Client::new(ClientId::new(now, &rng), metadata, now), &apis);
        let written = serde_json::to_value(&shown).unwrap();
        assert_eq!(written["limited_to"], json!([known.metadata.name, deleted]));
        assert_eq!(written["limited_to_owners"], json!([owner]));
        assert_eq!(serde_json::from_value::<ClientSettings>(written).unwrap(), shown);
        assert_eq!(shown.metadata, ClientMetadata::default());
    }

    #[test]
    fn limits_are_found_by_every_name_and_each_is_kept_once() {
        let apis = crate::grant::audience::tests::apis();
        let api = apis.by_name("notes").unwrap();
        let ada = Owner::Client(ClientId::new(Timestamp::from_secs(1), &SeededRng::new(1)));
        let owners = BTreeMap::from([("ada".to_owned(), ada.clone()), (ada.to_string(), ada.clone())]);
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = ClientSettings {
            limited_to: texts(&["notes", api.id.as_str(), api.metadata.identifier.as_str()]),
            limited_to_owners: texts(&["ada", ada.as_str()]),
            ..ClientSettings::default()
        };
        let registered = settings.to_register(&ClientMetadata::default(), &apis, &owners).unwrap();
        assert_eq!((registered.limited_to, registered.limited_to_owners), (vec![api.id.clone()], vec![ada]));
    }

    #[test]
    fn unknown_name_is_a_mistake_and_no_missing_limit() {
        let (now, rng) = (Timestamp::from_secs(1), SeededRng::new(1));
        let (api, owner) = (ApiId::new(now, &rng), Owner::Client(ClientId::new(now, &rng)));
        let settings = ClientSettings {
            limited_to: vec![api.to_string()],
            limited_to_owners: vec![owner.to_string()],
            ..ClientSettings::default()
        };
        let (apis, owners) = (Apis::default(), BTreeMap::new());
        let wrong = places(settings.to_register(&ClientMetadata::default(), &apis, &owners));
        assert_eq!(wrong, ["/limited_to/0", "/limited_to_owners/0"]);
        let before =
            ClientMetadata { limited_to: vec![api], limited_to_owners: vec![owner], ..ClientMetadata::default() };
        assert_eq!(settings.to_register(&before, &apis, &owners), Ok(before), "what was deleted since stays");
    }
}
