//! Rules for a new API key, and when it expires.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{Api, MANAGEMENT, Role},
    api_key::{ApiKey, Environment, KeyMetadata},
    clock::Timestamp,
    id::ApiId,
    random::Rng,
    registration::{InvalidRegistration, display_name},
    scope::ScopeSet,
};

/// The default lifetime of a key.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// When a new key expires.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Expiry {
    /// After this time, at least one second.
    After(Duration),
    /// After [`DEFAULT_LIFETIME`].
    #[default]
    Default,
    /// Never. It must be requested explicitly, and lists show a warning.
    Never,
}

impl Expiry {
    /// When a key that is created at `now` expires. `None`: never.
    pub fn expires_at(self, now: Timestamp) -> Result<Option<Timestamp>, InvalidRegistration> {
        match self {
            Self::After(lifetime) if lifetime < Duration::from_secs(1) => {
                Err(InvalidRegistration::new("expires_in", "at least a second"))
            }
            Self::After(lifetime) => Ok(Some(now.plus(lifetime))),
            Self::Default => Ok(Some(now.plus(DEFAULT_LIFETIME))),
            Self::Never => Ok(None),
        }
    }
}

/// The request for a new key.
#[derive(Clone, Copy, Debug)]
pub struct NewApiKey<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// The APIs that it names; the first gives its prefix.
    pub apis: &'a [Arc<Api>],
    /// Of a management key: the APIs that it is limited to; all if empty.
    pub limited_to: &'a [Arc<Api>],
    /// What it may be used for: scopes of the APIs that it names.
    pub scope: &'a ScopeSet,
    /// Its roles, as `api:role`, or `role` alone where it names one API.
    pub roles: &'a [String],
    /// For real use or for tests.
    pub environment: Environment,
}

impl NewApiKey<'_> {
    /// The metadata of the key, or an error if there can't be such a key.
    pub fn metadata(&self) -> Result<KeyMetadata, InvalidRegistration> {
        let invalid = |member, why: String| Err(InvalidRegistration::new(member, why));
        let name = display_name("name", self.name)?;
        self.first()?;
        if !self.limited_to.is_empty() && !self.apis.iter().any(|api| api.metadata.name == MANAGEMENT) {
            return invalid("limited_to", format!("only keys of the API {MANAGEMENT:?} can be limited"));
        }
        let foreign = self.scope.filtered(|scope| !self.apis.iter().any(|api| api.has_scope(scope)));
        if !foreign.is_empty() {
            return invalid("scope", format!("{foreign} is no scope of the named APIs"));
        }
        let ids = |apis: &[Arc<Api>]| apis.iter().map(|api| api.id.clone()).collect();
        Ok(KeyMetadata {
            name,
            apis: ids(self.apis),
            limited_to: ids(self.limited_to),
            scope: self.scope.clone(),
            environment: self.environment,
        })
    }

    /// The roles that the key is given, each with its API.
    pub fn roles(&self) -> Result<Vec<(ApiId, Role)>, InvalidRegistration> {
        self.roles.iter().map(|text| self.role(text)).collect()
    }

    /// Makes the key itself.
    pub fn generate(&self, rng: &dyn Rng) -> Result<ApiKey, InvalidRegistration> {
        Ok(ApiKey::generate(&self.first()?.metadata.key_prefix, self.environment, rng))
    }

    /// The API that gives the key its prefix.
    fn first(&self) -> Result<&Api, InvalidRegistration> {
        let first = self.apis.first().map(AsRef::as_ref);
        first.ok_or_else(|| InvalidRegistration::new("apis", "a key names at least one API"))
    }

    fn role(&self, text: &str) -> Result<(ApiId, Role), InvalidRegistration> {
        let invalid = |why: &str| InvalidRegistration::new("roles", why);
        let (api, role) = match (text.split_once(':'), self.apis) {
            (Some((name, role)), apis) => (apis.iter().find(|api| api.metadata.name == name), role),
            (None, [only]) => (Some(only), text),
            (None, _) => (None, text),
        };
        let api = api.ok_or_else(|| invalid("write API:ROLE, with an API that the key names"))?;
        let role = Role::parse(role).map_err(|error| invalid(&error.to_string()))?;
        match api.metadata.roles.contains(&role) {
            true => Ok((api.id.clone(), role)),
            false => Err(invalid(&format!("the API {:?} has no role {role}", api.metadata.name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::ApiMetadata, grant::audience::tests::api, random::SeededRng, scope::Scope};

    fn with_roles(name: &str, roles: &[&str]) -> Arc<Api> {
        let plain = Arc::unwrap_or_clone(api(name, &[&format!("{name}:read")]));
        let roles = roles.iter().map(|role| Role::parse(role).unwrap()).collect();
        Arc::new(Api { metadata: ApiMetadata { roles, ..plain.metadata }, ..plain })
    }

    type Roles = Vec<(ApiId, Role)>;

    struct Asked {
        name: &'static str,
        apis: Vec<Arc<Api>>,
        limited_to: Vec<Arc<Api>>,
        scope: &'static str,
        roles: Vec<String>,
    }

    impl Asked {
        fn of(apis: Vec<Arc<Api>>) -> Self {
            Self { name: "key", apis, limited_to: Vec::new(), scope: "", roles: Vec::new() }
        }

        /// What is registered and given, or the member that does not fit.
        fn answer(&self) -> Result<(KeyMetadata, Roles), &'static str> {
            let scope = self.scope.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect();
            let new = NewApiKey {
                name: self.name,
                apis: &self.apis,
                limited_to: &self.limited_to,
                scope: &scope,
                roles: &self.roles,
                environment: Environment::Live,
            };
            let metadata = new.metadata().map_err(|error| error.member)?;
            let key = new.generate(&SeededRng::new(1)).map_err(|error| error.member)?;
            assert!(key.reveal().starts_with(&format!("{}_live_", self.apis[0].metadata.key_prefix.as_str())));
            Ok((metadata, new.roles().map_err(|error| error.member)?))
        }
    }

    #[test]
    fn key_gets_only_scopes_and_roles_of_its_apis() {
        let (notes, mails) = (with_roles("notes", &["admin"]), with_roles("mails", &["admin", "reader"]));
        let asked = Asked {
            name: " ci ",
            scope: "notes:read mails:read",
            roles: vec!["notes:admin".into(), "mails:reader".into()],
            ..Asked::of(vec![notes.clone(), mails.clone()])
        };
        let (metadata, roles) = asked.answer().unwrap();
        assert_eq!((metadata.name.as_str(), &metadata.apis), ("ci", &vec![notes.id.clone(), mails.id.clone()]));
        assert_eq!(metadata.scope.to_string(), "mails:read notes:read");
        let named = |api: &Api, role| (api.id.clone(), Role::parse(role).unwrap());
        assert_eq!(roles, [named(&notes, "admin"), named(&mails, "reader")]);
        let (_, alone) = Asked { roles: vec!["admin".into()], ..Asked::of(vec![notes.clone()]) }.answer().unwrap();
        assert_eq!(alone, [named(&notes, "admin")]);
    }

    #[test]
    fn each_part_of_a_key_that_does_not_fit_is_named() {
        let (notes, mails) = (with_roles("notes", &["admin"]), with_roles("mails", &["reader"]));
        let management = with_roles(MANAGEMENT, &[]);
        let one = || Asked::of(vec![notes.clone()]);
        let roles = |role: &str| vec![role.to_owned()];
        for (asked, member) in [
            (Asked { name: " ", ..one() }, "name"),
            (Asked::of(vec![]), "apis"),
            (Asked { limited_to: vec![notes.clone()], ..one() }, "limited_to"),
            (Asked { scope: "notes:read mails:read", ..one() }, "scope"),
            (Asked { roles: roles("reader"), ..one() }, "roles"),
            (Asked { roles: roles("mails:reader"), ..one() }, "roles"),
            (Asked { roles: roles("notes:"), ..one() }, "roles"),
            (Asked { roles: roles("admin"), ..Asked::of(vec![notes.clone(), mails.clone()]) }, "roles"),
        ] {
            assert_eq!(asked.answer().err(), Some(member));
        }
        let limited = Asked { limited_to: vec![mails.clone()], ..Asked::of(vec![notes.clone(), management]) };
        assert_eq!(limited.answer().unwrap().0.limited_to, vec![mails.id.clone()]);
    }

    #[test]
    fn key_expires_after_ninety_days_by_default() {
        let now = Timestamp::from_secs(1_000);
        let after = |secs: i64| Some(Timestamp::from_secs(1_000 + secs));
        assert_eq!(Expiry::default().expires_at(now), Ok(after(90 * 86_400)));
        assert_eq!(Expiry::Never.expires_at(now), Ok(None));
        assert_eq!(Expiry::After(Duration::from_secs(1)).expires_at(now), Ok(after(1)));
        let too_short = Expiry::After(Duration::from_millis(999)).expires_at(now);
        assert_eq!(too_short.map_err(|error| error.member), Err("expires_in"));
    }
}
