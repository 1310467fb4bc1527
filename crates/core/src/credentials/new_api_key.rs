//! Rules for a new API key, and when it expires.

use std::{sync::Arc, time::Duration};

use crate::{
    allowed_addresses::AllowedAddresses,
    allowed_origins::AllowedOrigins,
    api::{Api, MANAGEMENT, Role},
    api_key::{ApiKey, Environment, KeyMetadata},
    clock::Timestamp,
    holder::Owner,
    id::ApiId,
    json::{Map, Value},
    key_kind::KeyKind,
    key_limits::KeyLimits,
    random::Rng,
    refusal::Mistake,
    registration::display_name,
    scope::ScopeSet,
};

/// The default lifetime of a key.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// The longest lifetime of a key that expires at all: a hundred years.
pub const MAX_LIFETIME: Duration = Duration::from_secs(36_500 * 86_400);

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
    /// After some time and never, which is refused together with the other mistakes of the request.
    Contradictory,
}

impl Expiry {
    /// The one that a request for a key means: its lifetime in seconds, or never.
    pub fn requested(expires_in: Option<u64>, never_expires: bool) -> Self {
        match (expires_in, never_expires) {
            (Some(_), true) => Self::Contradictory,
            (Some(lifetime), false) => Self::After(Duration::from_secs(lifetime)),
            (None, true) => Self::Never,
            (None, false) => Self::Default,
        }
    }

    /// When a key that is created at `now` expires. `None`: never.
    pub fn expires_at(self, now: Timestamp) -> Result<Option<Timestamp>, Mistake> {
        match self {
            Self::After(lifetime) if lifetime < Duration::from_secs(1) => {
                Err(Mistake::at("expires_in", "at least a second"))
            }
            Self::After(lifetime) if lifetime > MAX_LIFETIME => {
                Err(Mistake::at("expires_in", "at most a hundred years, or never_expires"))
            }
            Self::After(lifetime) => Ok(Some(now.plus(lifetime))),
            Self::Default => Ok(Some(now.plus(DEFAULT_LIFETIME))),
            Self::Never => Ok(None),
            Self::Contradictory => Err(Mistake::at("never_expires", "can't be given together with expires_in")),
        }
    }

    /// The same for a key of an API that bounds the lifetime of its keys. The default is no longer than that.
    pub fn expires_at_within(self, now: Timestamp, most: Option<Duration>) -> Result<Option<Timestamp>, Mistake> {
        let (expires_at, Some(most)) = (self.expires_at(now)?, most) else { return self.expires_at(now) };
        let latest = now.plus(most);
        let too_long = |member| Err(Mistake::at(member, format!("at most {} seconds at this API", most.as_secs())));
        match self {
            Self::Default => Ok(Some(expires_at.map_or(latest, |at| at.min(latest)))),
            Self::Never => too_long("never_expires"),
            Self::After(_) | Self::Contradictory if expires_at.is_none_or(|at| at > latest) => too_long("expires_in"),
            Self::After(_) | Self::Contradictory => Ok(expires_at),
        }
    }
}

/// The roles that a key is given, each with its API.
pub type GivenRoles = Vec<(ApiId, Role)>;

/// The request for a new key.
#[derive(Clone, Copy, Debug)]
pub struct NewApiKey<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// The APIs that it names; the first gives its prefix.
    pub apis: &'a [Arc<Api>],
    /// Whether those are all. If one is not known, nobody can judge scopes and roles.
    pub are_all_known: bool,
    /// Of a management key: the APIs that it is limited to; all if empty.
    pub limited_to: &'a [Arc<Api>],
    /// Of a management key: the owners whose things it may manage; all if empty.
    pub limited_to_owners: &'a [Owner],
    /// What it may be used for: scopes of the APIs that it names.
    pub scope: &'a ScopeSet,
    /// Its roles, as `api:role`, or `role` alone where it names one API.
    pub roles: &'a [String],
    /// What kind of key it is.
    pub kind: KeyKind,
    /// For real use or for tests.
    pub environment: Environment,
    /// What its service keeps with it.
    pub metadata: &'a Map<String, Value>,
    /// From which addresses and networks it may be used; from everywhere if empty.
    pub allowed_addresses: &'a [String],
    /// Of a publishable key: the origins of the pages that it may be used from.
    pub allowed_origins: &'a [String],
    /// How often it may be used.
    pub use_limits: KeyLimits,
}

/// The longest that the metadata of a key may be, in bytes of JSON.
pub const MAX_METADATA: usize = 4_096;

impl NewApiKey<'_> {
    /// The metadata of the key and the roles that it is given, each with its API, or why there can't be such a key.
    pub fn checked(&self) -> Result<(KeyMetadata, GivenRoles), Vec<Mistake>> {
        let (name, roles) = (display_name("name", self.name), self.roles());
        let mut mistakes = Vec::from_iter(name.as_ref().err().cloned());
        mistakes.extend(self.mistake_in_metadata());
        mistakes.extend(self.use_limits.mistakes());
        let allowed_addresses = AllowedAddresses::read(self.allowed_addresses).unwrap_or_else(|found| {
            mistakes.extend(found);
            AllowedAddresses::default()
        });
        let allowed_origins = AllowedOrigins::read(self.allowed_origins).unwrap_or_else(|found| {
            mistakes.extend(found);
            AllowedOrigins::default()
        });
        match self.first() {
            _ if !self.are_all_known => {}
            Err(mistake) => mistakes.push(mistake),
            Ok(_) => {
                mistakes.extend(self.mistake_in_limits());
                mistakes.extend(self.mistake_in_scopes());
                mistakes.extend(roles.iter().filter_map(|role| role.as_ref().err().cloned()));
                let has = (!self.roles.is_empty(), !self.allowed_origins.is_empty());
                mistakes.extend(self.kind.mistakes(self.apis.iter().map(AsRef::as_ref), self.scope, has));
            }
        }
        Mistake::none(mistakes)?;
        let ids = |apis: &[Arc<Api>]| apis.iter().map(|api| api.id.clone()).collect();
        let metadata = KeyMetadata {
            name: name.unwrap_or_default(),
            apis: ids(self.apis),
            limited_to: ids(self.limited_to),
            limited_to_owners: self.limited_to_owners.to_vec(),
            kind: self.kind,
            scope: self.scope.clone(),
            environment: self.environment,
            metadata: self.metadata.clone(),
            allowed_addresses,
            allowed_origins,
            use_limits: self.use_limits,
            counted_as: None,
        };
        Ok((metadata, roles.into_iter().flatten().collect()))
    }

    /// Makes the key itself.
    pub fn generate(&self, rng: &dyn Rng) -> Result<ApiKey, Vec<Mistake>> {
        let first = self.first().map_err(|mistake| vec![mistake])?;
        Ok(ApiKey::generate(&self.kind.prefix(&first.metadata.key_prefix), self.environment, rng))
    }

    /// The API that gives the key its prefix.
    fn first(&self) -> Result<&Api, Mistake> {
        let first = self.apis.first().map(AsRef::as_ref);
        first.ok_or_else(|| Mistake::at("apis", "a key names at least one API"))
    }

    fn mistake_in_limits(&self) -> Option<Mistake> {
        if self.apis.iter().any(|api| api.metadata.name == MANAGEMENT) {
            return None;
        }
        let member = match (self.limited_to, self.limited_to_owners) {
            ([], []) => return None,
            ([], _) => "limited_to_owners",
            _ => "limited_to",
        };
        Some(Mistake::at(member, format!("only keys of the API {MANAGEMENT:?} can be limited")))
    }

    fn mistake_in_metadata(&self) -> Option<Mistake> {
        let length = Value::Object(self.metadata.clone()).to_string().len();
        (length > MAX_METADATA).then(|| Mistake::at("metadata", format!("at most {MAX_METADATA} bytes of JSON")))
    }

    fn mistake_in_scopes(&self) -> Option<Mistake> {
        if self.scope.iter().count() > ScopeSet::MAX {
            return Some(Mistake::at("scopes", format!("at most {}", ScopeSet::MAX)));
        }
        let foreign = self.scope.filtered(|scope| !self.apis.iter().any(|api| api.has_scope(scope)));
        (!foreign.is_empty()).then(|| Mistake::at("scopes", format!("{foreign} is no scope of the named APIs")))
    }

    fn roles(&self) -> Vec<Result<(ApiId, Role), Mistake>> {
        let named = self.roles.iter().enumerate();
        named.map(|(index, text)| self.role(text).map_err(|why| Mistake::at_element("roles", index, why))).collect()
    }

    fn role(&self, text: &str) -> Result<(ApiId, Role), String> {
        let (api, role) = match (text.split_once(':'), self.apis) {
            (Some((name, role)), apis) => (apis.iter().find(|api| api.metadata.name == name), role),
            (None, [only]) => (Some(only), text),
            (None, _) => (None, text),
        };
        let api = api.ok_or_else(|| "write API:ROLE, with an API that the key names".to_owned())?;
        let role = Role::parse(role).map_err(|error| error.to_string())?;
        match api.metadata.roles.contains(&role) {
            true => Ok((api.id.clone(), role)),
            false => Err(format!("the API {:?} has no role {role}", api.metadata.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ApiMetadata,
        grant::audience::tests::api,
        key_limits::{Per, Quota},
        random::SeededRng,
        scope::Scope,
    };

    fn with_roles(name: &str, roles: &[&str]) -> Arc<Api> {
        let plain = Arc::unwrap_or_clone(api(name, &[&format!("{name}:read")]));
        let roles = roles.iter().map(|role| Role::parse(role).unwrap()).collect();
        Arc::new(Api { metadata: ApiMetadata { roles, ..plain.metadata }, ..plain })
    }

    struct Asked {
        name: &'static str,
        apis: Vec<Arc<Api>>,
        limited_to: Vec<Arc<Api>>,
        scope: &'static str,
        roles: Vec<String>,
        metadata: Map<String, Value>,
        allowed_addresses: Vec<String>,
        kind: KeyKind,
        allowed_origins: Vec<String>,
        use_limits: KeyLimits,
    }

    impl Asked {
        fn of(apis: Vec<Arc<Api>>) -> Self {
            let (roles, allowed_addresses, allowed_origins) = (Vec::new(), Vec::new(), Vec::new());
            let metadata = Map::new();
            let (name, limited_to, scope, use_limits) = ("key", Vec::new(), "", KeyLimits::default());
            let kind = KeyKind::Secret;
            Self {
                name,
                apis,
                limited_to,
                scope,
                roles,
                metadata,
                allowed_addresses,
                kind,
                allowed_origins,
                use_limits,
            }
        }

        /// What is registered and given, or where the mistakes are.
        fn answer(&self, are_all_known: bool) -> Result<(KeyMetadata, GivenRoles), Vec<String>> {
            let scope = self.scope.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect();
            let new = NewApiKey {
                name: self.name,
                apis: &self.apis,
                are_all_known,
                limited_to: &self.limited_to,
                limited_to_owners: &[],
                scope: &scope,
                roles: &self.roles,
                kind: self.kind,
                environment: Environment::Live,
                metadata: &self.metadata,
                allowed_addresses: &self.allowed_addresses,
                allowed_origins: &self.allowed_origins,
                use_limits: self.use_limits,
            };
            let checked = new.checked();
            if checked.is_ok() {
                let key = new.generate(&SeededRng::new(1)).unwrap();
                let prefix = self.kind.prefix(&self.apis[0].metadata.key_prefix);
                assert!(key.reveal().starts_with(&format!("{}_live_", prefix.as_str())));
            }
            checked.map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.pointer).collect())
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
        let (metadata, roles) = asked.answer(true).unwrap();
        assert_eq!((metadata.name.as_str(), &metadata.apis), ("ci", &vec![notes.id.clone(), mails.id.clone()]));
        assert_eq!(metadata.scope.to_string(), "mails:read notes:read");
        let named = |api: &Api, role| (api.id.clone(), Role::parse(role).unwrap());
        assert_eq!(roles, [named(&notes, "admin"), named(&mails, "reader")]);
        let (_, alone) = Asked { roles: vec!["admin".into()], ..Asked::of(vec![notes.clone()]) }.answer(true).unwrap();
        assert_eq!(alone, [named(&notes, "admin")]);
    }

    #[test]
    fn each_part_of_a_key_that_does_not_fit_is_named() {
        let (notes, mails) = (with_roles("notes", &["admin"]), with_roles("mails", &["reader"]));
        let management = with_roles(MANAGEMENT, &[]);
        let one = || Asked::of(vec![notes.clone()]);
        let roles = |role: &str| vec![role.to_owned()];
        let quota = Some(Quota { requests: 0, per: Per::Day });
        let nothing_a_day = KeyLimits { quota, ..KeyLimits::default() };
        for (asked, member) in [
            (Asked { name: " ", ..one() }, "name"),
            (Asked { metadata: with_text(MAX_METADATA - 7), ..one() }, "metadata"),
            (Asked { allowed_addresses: vec!["::1".into(), "::1/64".into()], ..one() }, "allowed_addresses/1"),
            (Asked { allowed_origins: vec!["https://a.example".into()], ..one() }, "allowed_origins"),
            (Asked { kind: KeyKind::Publishable, ..one() }, "allowed_origins"),
            (Asked { allowed_origins: vec!["*".into()], kind: KeyKind::Publishable, ..one() }, "allowed_origins/0"),
            (Asked { use_limits: nothing_a_day, ..one() }, "quota/requests"),
            (Asked::of(vec![]), "apis"),
            (Asked { limited_to: vec![notes.clone()], ..one() }, "limited_to"),
            (Asked { scope: "notes:read mails:read", ..one() }, "scopes"),
            (Asked { roles: roles("reader"), ..one() }, "roles/0"),
            (Asked { roles: roles("mails:reader"), ..one() }, "roles/0"),
            (Asked { roles: roles("notes:"), ..one() }, "roles/0"),
            (Asked { roles: roles("admin"), ..Asked::of(vec![notes.clone(), mails.clone()]) }, "roles/0"),
        ] {
            assert_eq!(asked.answer(true).err(), Some(vec![format!("/{member}")]));
        }
        let limited = Asked { limited_to: vec![mails.clone()], ..Asked::of(vec![notes.clone(), management]) };
        assert_eq!(limited.answer(true).unwrap().0.limited_to, vec![mails.id.clone()]);
    }

    /// Metadata of this length and nine bytes more.
    fn with_text(length: usize) -> Map<String, Value> {
        [("a".to_owned(), "x".repeat(length).into())].into_iter().collect()
    }

    #[test]
    fn metadata_is_kept_up_to_its_bound() {
        let metadata = with_text(MAX_METADATA - 8);
        let asked = Asked { metadata: metadata.clone(), ..Asked::of(vec![with_roles("notes", &[])]) };
        assert_eq!(asked.answer(true).unwrap().0.metadata, metadata);
    }

    #[test]
    fn every_mistake_of_a_key_is_found_at_once() {
        let asked = Asked {
            name: " ",
            limited_to: vec![with_roles("mails", &[])],
            scope: "mails:read",
            roles: ["admin", "reader", "mails:reader"].map(str::to_owned).to_vec(),
            ..Asked::of(vec![with_roles("notes", &["admin"])])
        };
        let all = ["/name", "/limited_to", "/scopes", "/roles/1", "/roles/2"].map(str::to_owned).to_vec();
        assert_eq!(asked.answer(true), Err(all));
        assert_eq!(asked.answer(false), Err(vec!["/name".to_owned()]), "an API is unknown: nobody can tell the rest");
    }

    #[test]
    fn lifetime_is_no_longer_than_the_api_allows() {
        let now = Timestamp::from_secs(1_000);
        let within = |expiry: Expiry, most: u64| {
            let most = Some(Duration::from_secs(most));
            expiry.expires_at_within(now, most).map_err(|mistake| mistake.pointer)
        };
        let after = |secs: u64| Expiry::After(Duration::from_secs(secs));
        let at = |secs: i64| Ok(Some(Timestamp::from_secs(1_000 + secs)));
        assert_eq!((within(after(60), 60), within(after(61), 60)), (at(60), Err("/expires_in".to_owned())));
        assert_eq!((within(Expiry::Default, 60), within(Expiry::Default, 91 * 86_400)), (at(60), at(90 * 86_400)));
        assert_eq!(within(Expiry::Never, 60), Err("/never_expires".to_owned()));
        assert_eq!(within(after(0), 60), Err("/expires_in".to_owned()));
        assert_eq!(Expiry::Never.expires_at_within(now, None), Ok(None));
    }

    #[test]
    fn key_expires_after_ninety_days_by_default() {
        let now = Timestamp::from_secs(1_000);
        let after = |secs: i64| Some(Timestamp::from_secs(1_000 + secs));
        assert_eq!(Expiry::default().expires_at(now), Ok(after(90 * 86_400)));
        assert_eq!(Expiry::Never.expires_at(now), Ok(None));
        assert_eq!(Expiry::After(Duration::from_secs(1)).expires_at(now), Ok(after(1)));
        let too_short = Expiry::After(Duration::from_millis(999)).expires_at(now);
        assert_eq!(too_short.map_err(|mistake| mistake.pointer), Err("/expires_in".to_owned()));
        assert!(Expiry::After(MAX_LIFETIME).expires_at(now).is_ok());
        let too_long = Expiry::After(MAX_LIFETIME + Duration::from_secs(1)).expires_at(now);
        assert_eq!(too_long.map_err(|mistake| mistake.pointer), Err("/expires_in".to_owned()));
        assert_eq!(Expiry::requested(None, false), Expiry::Default);
        assert_eq!(Expiry::requested(Some(1), false), Expiry::After(Duration::from_secs(1)));
        assert_eq!(Expiry::requested(None, true), Expiry::Never);
        let both = Expiry::requested(Some(1), true).expires_at(now);
        assert_eq!(both.map_err(|mistake| mistake.pointer), Err("/never_expires".to_owned()));
    }
}
