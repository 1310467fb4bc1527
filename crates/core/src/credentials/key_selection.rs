//! Which keys are meant, by facts that never change while a key belongs to one owner: for lists, and for a breach, in which all
//! of them are revoked.

use crate::{api_key::KeyMetadata, clock::Timestamp, holder::Owner, id::ApiId, scope::Scope};

/// Which keys are meant. Each condition that is given leaves fewer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySelection {
    /// Only those of this owner.
    pub owner: Option<Owner>,
    /// Only those that name this API.
    pub api: Option<ApiId>,
    /// Only those that were given this scope.
    pub scope: Option<Scope>,
    /// Only those that this user, client, key or person at the command line created.
    pub created_by: Option<String>,
    /// Only those that were created then or later.
    pub created_since: Option<Timestamp>,
    /// Only those that were created before then.
    pub created_until: Option<Timestamp>,
}

/// What a selection looks at.
#[derive(Clone, Copy, Debug)]
pub struct SelectedKey<'a> {
    /// What is registered of the key.
    pub metadata: &'a KeyMetadata,
    /// Whom it belongs to.
    pub owner: Option<&'a Owner>,
    /// Who created it, if that is known.
    pub created_by: Option<&'a str>,
    /// When it was created.
    pub created_at: Timestamp,
}

impl KeySelection {
    /// Whether no condition is given, so that every key is meant.
    pub fn is_of_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the key is meant.
    pub fn includes(&self, key: SelectedKey<'_>) -> bool {
        self.owner.as_ref().is_none_or(|owner| key.owner == Some(owner))
            && self.api.as_ref().is_none_or(|api| key.metadata.apis.contains(api))
            && self.scope.as_ref().is_none_or(|scope| key.metadata.scope.contains(scope.as_str()))
            && self.created_by.as_deref().is_none_or(|creator| key.created_by == Some(creator))
            && self.created_since.is_none_or(|since| key.created_at >= since)
            && self.created_until.is_none_or(|until| key.created_at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{random::SeededRng, scope::ScopeSet};

    #[test]
    fn each_condition_leaves_out_what_differs() {
        let rng = SeededRng::new(1);
        let [api, other] = [1, 2].map(|at| ApiId::new(Timestamp::from_secs(at), &rng));
        let owner: Owner = "acme".parse().unwrap();
        let metadata = KeyMetadata {
            apis: vec![api.clone()],
            scope: ScopeSet::parse("notes:read").unwrap(),
            ..KeyMetadata::default()
        };
        let at = Timestamp::from_secs;
        let key =
            SelectedKey { metadata: &metadata, owner: Some(&owner), created_by: Some("os:ada"), created_at: at(10) };
        let all = KeySelection::default;
        let included = [
            all(),
            KeySelection { owner: Some(owner.clone()), ..all() },
            KeySelection { api: Some(api), ..all() },
            KeySelection { scope: Some(Scope::parse("notes:read").unwrap()), ..all() },
            KeySelection { created_by: Some("os:ada".to_owned()), ..all() },
            KeySelection { created_since: Some(at(10)), created_until: Some(at(11)), ..all() },
        ];
        let excluded = [
            KeySelection { owner: Some("globex".parse().unwrap()), ..all() },
            KeySelection { api: Some(other), ..all() },
            KeySelection { scope: Some(Scope::parse("notes:write").unwrap()), ..all() },
            KeySelection { created_by: Some("os:eve".to_owned()), ..all() },
            KeySelection { created_since: Some(at(11)), ..all() },
            KeySelection { created_until: Some(at(10)), ..all() },
            KeySelection { owner: Some(owner.clone()), created_until: Some(at(10)), ..all() },
        ];
        for selection in included {
            assert!(selection.includes(key), "{selection:?}");
        }
        for selection in excluded {
            assert!(!selection.includes(key) && !selection.is_of_all(), "{selection:?}");
        }
        let unknown = SelectedKey { created_by: None, owner: None, ..key };
        assert!(!KeySelection { created_by: Some("os:ada".to_owned()), ..all() }.includes(unknown));
        assert!(all().is_of_all() && all().includes(unknown));
    }
}
