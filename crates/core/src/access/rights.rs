//! The rights of a caller of the management API: scopes by resource, limits to APIs and owners, and the rule that nobody
//! gives what they lack (OWASP API Security 2023, API1 and API5).
//!
//! Easy to get wrong: a caller that can replace the secret of a client, or the password of a user, can act as it. So a caller
//! changes only what is not more powerful than itself.

use serde::{Deserialize, Serialize};

use crate::{
    allowed_addresses::AllowedAddresses,
    api_key::KeyMetadata,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    denial::Denial,
    holder::Owner,
    id::ApiId,
    refusal::Refusal,
    scope::{Scope, ScopeSet},
};

/// The role that a user needs at the management API, beside the scope of the client that acts for the user.
pub const ADMIN: &str = "admin";

/// Lets an API or a key ask whether other keys are valid.
pub const KEYS_VERIFY: &str = "keys:verify";

/// The scopes of the management API: one for each resource and kind of verb, with the sentence of the consent page.
pub const SCOPES: [(&str, &str); 20] = [
    ("apis:read", "See APIs"),
    ("apis:write", "Create, change and delete APIs"),
    ("audit:read", "See the audit log, and why requests were refused"),
    ("clients:read", "See clients"),
    ("clients:write", "Create, change and delete clients"),
    ("grants:read", "See what users granted to clients"),
    ("grants:write", "Revoke what users granted to clients"),
    ("keys:read", "See API keys"),
    (KEYS_VERIFY, "Ask whether API keys are valid"),
    ("keys:write", "Create, change and revoke API keys"),
    ("roles:read", "See who has which role"),
    ("roles:write", "Give and withdraw roles"),
    ("sessions:read", "See who is signed in"),
    ("sessions:write", "Sign users out"),
    ("signing_keys:read", "See the keys that sign tokens"),
    ("signing_keys:write", "Create and withdraw the keys that sign tokens"),
    ("users:read", "See users"),
    ("users:write", "Create, change and delete users"),
    ("webhooks:read", "See endpoints of webhooks and what was sent to them"),
    ("webhooks:write", "Create, change and delete endpoints of webhooks, and send again"),
];

/// Whether a scope is one of the management API's.
pub fn is_management(scope: &Scope) -> bool {
    SCOPES.iter().any(|(name, _)| *name == scope.as_str())
}

/// What a credential for the management API is limited to. An empty list is no limit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// The APIs whose things it may see and change.
    pub apis: Vec<ApiId>,
    /// The owners whose things it may see and change.
    pub owners: Vec<Owner>,
}

impl Limits {
    /// Whether they let through what belongs to these APIs and this owner. What belongs to no API is beyond a limit to
    /// APIs, and what nobody owns beyond a limit to owners.
    pub fn admit(&self, belongs: &Belongs<'_>) -> bool {
        let apis = self.apis.is_empty()
            || (!belongs.apis.is_empty() && belongs.apis.iter().all(|api| self.apis.contains(api)));
        let owner = || belongs.owner.is_some_and(|owner| self.owners.iter().any(|known| known.as_str() == owner));
        apis && (self.owners.is_empty() || owner())
    }

    /// Whether these limits are as narrow as others, or narrower.
    pub fn are_within(&self, others: &Self) -> bool {
        fn within<T: PartialEq>(inner: &[T], outer: &[T]) -> bool {
            outer.is_empty() || (!inner.is_empty() && inner.iter().all(|one| outer.contains(one)))
        }
        within(&self.apis, &others.apis) && within(&self.owners, &others.owners)
    }
}

/// Whose something is, for the limits of a caller.
#[derive(Clone, Debug, Default)]
pub struct Belongs<'a> {
    /// The APIs that it is for.
    pub apis: Vec<ApiId>,
    /// The id of the user or client that it belongs to, or that it is.
    pub owner: Option<&'a str>,
}

/// What a client, a user or a key could do at the management API.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Power {
    /// Its scopes at the management API.
    pub scopes: ScopeSet,
    /// What it is limited to.
    pub limits: Limits,
    /// From where it can be used; from everywhere if empty.
    pub addresses: AllowedAddresses,
    /// When its power ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Power {
    /// The power of something with these scopes, among them scopes of other APIs, which don't count.
    pub fn of_scopes(scopes: &ScopeSet) -> Self {
        Self { scopes: scopes.filtered(is_management), ..Self::default() }
    }

    /// The power of a client, which uses it for itself or for a user who has the role.
    pub fn of_client(metadata: &ClientMetadata) -> Self {
        Self { limits: metadata.limits(), ..Self::of_scopes(&metadata.scope) }
    }

    /// The power of a key, as long as it lives.
    pub fn of_key(metadata: &KeyMetadata) -> Self {
        let (limits, addresses) = (metadata.limits(), metadata.allowed_addresses.clone());
        Self { limits, addresses, ..Self::of_scopes(&metadata.scope) }
    }

    /// The power of a user with the role [`ADMIN`].
    pub fn of_admin() -> Self {
        let scopes = SCOPES.iter().map(|(name, _)| Scope::parse(name).expect("constants that are scopes"));
        Self { scopes: scopes.collect(), ..Self::default() }
    }
}

/// The rights of somebody who does something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rights {
    /// Those of the operator at the command line, and of the server itself.
    All,
    /// Those of a credential for the management API.
    Some(Power),
    /// None, except for what somebody may do to their own things.
    Own,
}

impl Rights {
    /// Whether they reach something. What they don't reach is answered as if it did not exist.
    pub fn reach(&self, belongs: &Belongs<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Some(power) => power.limits.admit(belongs),
            Self::Own => false,
        }
    }

    /// Whether they reach an API that a request names, no matter who owns what the request is about.
    pub fn reach_api(&self, api: &ApiId) -> bool {
        match self {
            Self::All => true,
            Self::Some(power) => power.limits.apis.is_empty() || power.limits.apis.contains(api),
            Self::Own => false,
        }
    }

    /// Whether they reach an owner whom a request names, whatever APIs the request is about.
    pub fn reach_owner(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(power) => {
                power.limits.owners.is_empty() || power.limits.owners.iter().any(|owner| owner.as_str() == id)
            }
            Self::Own => false,
        }
    }

    /// Whether they reach something that has limits of its own, such as an endpoint of webhooks: all that it sees must be
    /// within reach.
    pub fn reach_within(&self, limits: &Limits) -> bool {
        match self {
            Self::All => true,
            Self::Some(power) => limits.are_within(&power.limits),
            Self::Own => false,
        }
    }

    /// What they are limited to, if they are.
    pub fn limits(&self) -> Option<&Limits> {
        match self {
            Self::Some(power) => Some(&power.limits).filter(|limits| **limits != Limits::default()),
            Self::All | Self::Own => None,
        }
    }

    /// Whether every thing of a kind is within reach.
    pub fn are_unlimited(&self) -> bool {
        match self {
            Self::All => true,
            Self::Some(power) => power.limits == Limits::default(),
            Self::Own => false,
        }
    }

    /// Refuses to give `power` to something, or to change something that has it, to those who have less.
    pub fn check_covers(&self, power: &Power) -> Result<(), Refusal> {
        let own = match self {
            Self::All => return Ok(()),
            Self::Some(_) | Self::Own if power.scopes.is_empty() => return Ok(()),
            Self::Some(own) => own,
            Self::Own => return Err(Denial::RightsExceeded.into()),
        };
        let beyond = power.scopes.difference(&own.scopes);
        if !beyond.is_empty() {
            return Err(Refusal::new(Denial::RightsExceeded).fact("scope", beyond));
        }
        if !power.limits.are_within(&own.limits) {
            return Err(Refusal::new(Denial::RightsExceeded).fact("limits", "wider than the caller's"));
        }
        if !power.addresses.are_within(&own.addresses) {
            let why = "usable from more addresses than the caller's credential";
            return Err(Refusal::new(Denial::RightsExceeded).fact("allowed_addresses", why));
        }
        Ok(())
    }

    /// The same for a credential of its own, which must also end no later than the caller's.
    pub fn check_gives(&self, power: &Power) -> Result<(), Refusal> {
        self.check_covers(power)?;
        match self {
            Self::Some(Power { expires_at: Some(end), .. })
                if !power.scopes.is_empty() && power.expires_at.is_none_or(|at| at > *end) =>
            {
                Err(Refusal::new(Denial::RightsExceeded).fact("expires_at", "later than the caller's"))
            }
            _ => Ok(()),
        }
    }

    /// When a credential of this power ends, if nobody asks for a time: no later than the caller's own.
    pub fn end_by_default(&self, power: &Power) -> Option<Timestamp> {
        match self {
            Self::Some(Power { expires_at: Some(own), .. }) if !power.scopes.is_empty() => {
                Some(power.expires_at.map_or(*own, |end| end.min(*own)))
            }
            _ => power.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::ClientId, random::SeededRng};

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn apis() -> [ApiId; 2] {
        let rng = SeededRng::new(1);
        [1, 2].map(|at| ApiId::new(Timestamp::from_secs(at), &rng))
    }

    fn limited(apis: &[ApiId]) -> Limits {
        Limits { apis: apis.to_vec(), owners: Vec::new() }
    }

    fn from(network: &str) -> AllowedAddresses {
        AllowedAddresses::read(&[network.to_owned()]).unwrap()
    }

    #[test]
    fn limits_to_apis_admit_only_what_is_for_those_alone() {
        let [notes, mails] = apis();
        let of = |apis: &[ApiId]| Belongs { apis: apis.to_vec(), owner: None };
        let limits = limited(std::slice::from_ref(&notes));
        assert!(limits.admit(&of(std::slice::from_ref(&notes))));
        assert!(!limits.admit(&of(&[notes, mails])));
        assert!(!limits.admit(&of(&[])), "what belongs to no API is not of this one");
        assert!(Limits::default().admit(&of(&[])));
    }

    #[test]
    fn limits_to_owners_admit_only_what_they_own() {
        let owner = Owner::Client(ClientId::new(Timestamp::from_secs(1), &SeededRng::new(1)));
        let limits = Limits { apis: Vec::new(), owners: vec![owner.clone()] };
        let of = |owner| Belongs { apis: Vec::new(), owner };
        assert!(limits.admit(&of(Some(owner.as_str()))));
        assert!(!limits.admit(&of(Some("usr_other"))) && !limits.admit(&of(None)));
    }

    #[test]
    fn nobody_gives_scopes_limits_or_a_lifetime_beyond_their_own() {
        let [notes, mails] = apis();
        let end = Timestamp::from_secs(100);
        let own = Power {
            scopes: scopes("keys:write"),
            limits: limited(std::slice::from_ref(&notes)),
            addresses: from("192.0.2.0/24"),
            expires_at: Some(end),
        };
        let rights = Rights::Some(own.clone());
        let gives = |power: &Power| rights.check_gives(power).map_err(|refusal| refusal.denial);
        let refused = Err(Denial::RightsExceeded);
        assert_eq!(gives(&own), Ok(()));
        assert_eq!(gives(&Power { addresses: from("192.0.2.128/25"), ..own.clone() }), Ok(()));
        assert_eq!(gives(&Power { addresses: from("192.0.0.0/16"), ..own.clone() }), refused);
        assert_eq!(gives(&Power { addresses: AllowedAddresses::default(), ..own.clone() }), refused);
        assert_eq!(gives(&Power { scopes: scopes("keys:write users:write"), ..own.clone() }), refused);
        assert_eq!(gives(&Power { limits: Limits::default(), ..own.clone() }), refused);
        assert_eq!(gives(&Power { limits: limited(&[notes, mails]), ..own.clone() }), refused);
        assert_eq!(gives(&Power { expires_at: None, ..own.clone() }), refused);
        assert_eq!(gives(&Power { expires_at: Some(Timestamp::from_secs(101)), ..own.clone() }), refused);
        assert_eq!(rights.check_covers(&Power { expires_at: None, ..own.clone() }).err(), None);
        assert_eq!(gives(&Power::of_scopes(&scopes("notes:read"))), Ok(()), "other APIs' scopes are no power here");
        let forever = Power { expires_at: None, ..own.clone() };
        let later = Power { expires_at: Some(Timestamp::from_secs(101)), ..own.clone() };
        let sooner = Power { expires_at: Some(Timestamp::from_secs(99)), ..own.clone() };
        assert_eq!(
            [&forever, &later, &sooner].map(|power| rights.end_by_default(power)),
            [Some(end), Some(end), sooner.expires_at]
        );
        let harmless = Power { scopes: ScopeSet::default(), ..later.clone() };
        assert_eq!(
            (rights.end_by_default(&harmless), Rights::All.end_by_default(&later)),
            (later.expires_at, later.expires_at)
        );
        assert_eq!(Rights::Own.check_gives(&own).map_err(|refusal| refusal.denial), refused);
        assert_eq!(Rights::All.check_gives(&Power::of_admin()), Ok(()));
    }

    #[test]
    fn role_of_administrators_is_given_by_those_with_every_scope() {
        let all = Power::of_admin();
        assert_eq!(all.scopes.iter().count(), SCOPES.len());
        assert!(all.scopes.iter().all(is_management) && !is_management(&Scope::parse("notes:read").unwrap()));
        assert!(Rights::Some(all.clone()).check_covers(&all).is_ok());
        let less = Power::of_scopes(&scopes("users:write roles:write"));
        assert!(Rights::Some(less).check_covers(&all).is_err());
    }

    #[test]
    fn rights_reach_what_their_limits_admit() {
        let [notes, mails] = apis();
        let of = |api: &ApiId| Belongs { apis: vec![api.clone()], owner: None };
        let rights = Rights::Some(Power { limits: limited(std::slice::from_ref(&notes)), ..Power::default() });
        assert!(rights.reach(&of(&notes)) && !rights.reach(&of(&mails)) && !rights.are_unlimited());
        let within = |apis: &[ApiId]| rights.reach_within(&limited(apis));
        assert!(within(std::slice::from_ref(&notes)) && !within(&[notes.clone(), mails.clone()]) && !within(&[]));
        assert!(Rights::All.reach_within(&limited(&[])) && !Rights::Own.reach_within(&limited(&[])));
        assert!(Rights::All.reach(&of(&mails)) && Rights::All.are_unlimited());
        assert!(!Rights::Own.reach(&of(&notes)) && !Rights::Own.are_unlimited());
    }

    #[test]
    fn api_or_owner_is_reached_whatever_the_other_limit_is() {
        let [notes, mails] = apis();
        let owner = |number| Owner::Client(ClientId::new(Timestamp::from_secs(number), &SeededRng::new(1)));
        let rights = |limits| Rights::Some(Power { limits, ..Power::default() });
        let of_notes = rights(limited(std::slice::from_ref(&notes)));
        assert!(of_notes.reach_api(&notes) && !of_notes.reach_api(&mails) && of_notes.reach_owner(owner(1).as_str()));
        let of_one = rights(Limits { apis: Vec::new(), owners: vec![owner(1)] });
        assert!(
            of_one.reach_owner(owner(1).as_str()) && !of_one.reach_owner(owner(2).as_str()) && of_one.reach_api(&mails)
        );
        assert!(Rights::All.reach_api(&notes) && Rights::All.reach_owner(owner(1).as_str()));
        assert!(!Rights::Own.reach_api(&notes) && !Rights::Own.reach_owner(owner(1).as_str()));
    }
}
