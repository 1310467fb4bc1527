//! The API and the scopes of a token (RFC 8707 section 2, RFC 9068 section 3).
//!
//! A token is for one API. `resource` names it, or the scopes do, since their names are unique across APIs.

use std::sync::Arc;

pub use super::apis::Apis;
use crate::{
    api::{Api, ResourceIdentifier},
    client::Client,
    clock::Timestamp,
    denial::Denial,
    form::Parameters,
    refusal::Refusal,
    scope::{self, Scope, ScopeSet},
};

/// The access that a request at /token asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestedAccess {
    /// `scope`, if sent (RFC 6749 section 6).
    pub scopes: Option<ScopeSet>,
    /// `resource`, if sent (RFC 8707 section 2.2).
    pub resource: Option<String>,
}

impl RequestedAccess {
    /// Reads a request that redeems a code, whose scopes were asked for at /authorize.
    pub fn with_code(form: &Parameters<'_>) -> Result<Self, Refusal> {
        form.refuse_repeated(&REPEATABLE)?;
        Ok(Self { scopes: None, resource: one_resource(form)?.map(str::to_owned) })
    }

    /// Reads any other request.
    pub fn parse(form: &Parameters<'_>) -> Result<Self, Refusal> {
        let malformed = |scope| Refusal::new(Denial::ScopeMalformed).fact("scope", scope);
        let read = Self::with_code(form)?;
        let scopes = form.optional("scope")?.map(|scope| ScopeSet::parse(scope).map_err(|_| malformed(scope)));
        Ok(Self { scopes: scopes.transpose()?, ..read })
    }
}

/// Parameters that may be sent more than once at /token: `audience` belongs to RFC 8693 and is ignored.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// `resource` at /token names one API (RFC 8707 section 2.2).
fn one_resource<'a>(form: &'a Parameters<'_>) -> Result<Option<&'a str>, Refusal> {
    let mut resources = form.all("resource").filter(|resource| !resource.is_empty());
    let first = resources.next();
    match resources.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::new(Denial::ParameterRepeated).parameter("resource")),
    }
}

/// The access that a client requests, and what was granted.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// All registered APIs, to find the audience among.
    pub apis: &'a Apis,
    /// The scopes that were granted.
    pub granted: &'a ScopeSet,
    /// When they were granted: scopes that were removed from an API since then don't count.
    pub granted_at: Timestamp,
    /// The scopes that the client is registered for. What was taken from it since the grant is in no new token.
    pub registered: &'a ScopeSet,
    /// The scopes that had been requested. The user may have allowed only some of them.
    pub requested: &'a ScopeSet,
    /// The resources that were named when they were granted.
    pub granted_resources: &'a [ResourceIdentifier],
    /// The requested access, or why it can't be read. Decisions about a code or a refresh token check it last: a replay
    /// must not hide behind a malformed `scope`.
    pub asked: &'a Result<RequestedAccess, Refusal>,
}

/// The access of one access token.
#[derive(Clone, Debug)]
pub struct Access {
    /// Its API; `None`: the token is for the issuer only, since its scopes are OIDC's.
    pub api: Option<Arc<Api>>,
    /// The scopes of the access token.
    pub scopes: ScopeSet,
}

impl AccessRequest<'_> {
    /// Narrows what was granted to one access token.
    ///
    /// `resource` must be one of the granted resources, or, where none was named, the API of the scopes. Without it the
    /// first named resource counts.
    pub fn narrow(&self) -> Result<Access, Refusal> {
        let RequestedAccess { scopes, resource } = self.asked.as_ref().map_err(Refusal::clone)?;
        let living = self.apis.living_of_grant(self.granted, self.granted_at);
        let living = living.ok_or_else(|| Refusal::new(Denial::GrantEnded).fact("removed_scopes_of", self.granted))?;
        let living = &self.registered_scopes(&living)?;
        let granted = &self.narrowed_scopes(scopes.as_ref(), living)?;
        let named = self.granted_resources;
        let of_scopes = self.apis.of_scopes(granted);
        let api = match resource {
            None if named.is_empty() && of_scopes.len() > 1 => {
                return Err(Refusal::new(Denial::ScopeOfSeveralApis).fact("scope", granted));
            }
            None if named.is_empty() => of_scopes.first().copied(),
            // The first named one of which a scope was granted: an API without one gets no token.
            None => {
                named.iter().find_map(|named| of_scopes.iter().find(|api| api.metadata.identifier == *named).copied())
            }
            Some(asked) => {
                let api = self.apis.by_resource(asked);
                let api = api.ok_or_else(|| Refusal::new(Denial::ResourceUnknown).fact("resource", asked))?;
                let was_named = named.is_empty() || named.contains(&api.metadata.identifier);
                let was_granted = of_scopes.iter().any(|of_scope| of_scope.id == api.id);
                if !(was_named && was_granted) {
                    return Err(Refusal::new(Denial::ResourceNotGranted).fact("resource", asked));
                }
                Some(api)
            }
        };
        let scopes = granted.filtered(|scope| scope.is_oidc() || api.is_some_and(|api| api.has_scope(scope)));
        Ok(Access { api: api.cloned(), scopes })
    }

    /// The scopes that the client may still have. They count again if it is registered for them again: what the user
    /// allowed has not changed.
    fn registered_scopes(&self, living: &ScopeSet) -> Result<ScopeSet, Refusal> {
        let registered = living.filtered(|scope| self.registered.contains(scope.as_str()));
        let is_nothing = registered.iter().all(|scope| scope.as_str() == scope::OFFLINE_ACCESS);
        match registered == *living || !is_nothing {
            true => Ok(registered),
            false => Err(Refusal::new(Denial::ScopeNotAllowed).fact("scope", living.difference(&registered))),
        }
    }

    /// The scopes that are asked for, as far as they were granted. A client may repeat what it first asked for, also
    /// where the user allowed less (RFC 6749 section 6 forbids asking for more); of that it gets what was allowed.
    fn narrowed_scopes(&self, asked: Option<&ScopeSet>, living: &ScopeSet) -> Result<ScopeSet, Refusal> {
        let Some(asked) = asked else { return Ok(living.clone()) };
        let was_asked = |scope: &Scope| {
            // With `openid`, scopes that nobody knows were skipped at /authorize.
            self.requested.contains(scope.as_str())
                || (self.requested.contains(scope::OPENID) && !self.apis.knows(scope))
        };
        let beyond = asked.filtered(|scope| !was_asked(scope));
        let narrowed = asked.filtered(|scope| living.contains(scope.as_str()));
        match beyond.is_empty() && !narrowed.is_empty() {
            true => Ok(narrowed),
            false => Err(Refusal::new(Denial::ScopeExceedsGrant).fact("scope", asked.difference(living))),
        }
    }
}

/// The scopes of a client_credentials request (RFC 6749 section 4.4): what was asked or the client's default; never
/// `openid` or `offline_access`; all of them the client's, and of one API.
pub fn client_credentials(
    apis: &Apis,
    client: &Client,
    RequestedAccess { scopes, resource }: RequestedAccess,
) -> Result<(Arc<Api>, ScopeSet), Refusal> {
    let registered = client.registered(apis);
    let scopes = match scopes {
        Some(scopes) => scopes,
        None if registered.default_scope.is_empty() => return Err(Refusal::new(Denial::ScopeMissing)),
        None => registered.default_scope,
    };
    let unknown = apis.unknown(&scopes);
    if !unknown.is_empty() {
        return Err(Refusal::new(Denial::ScopeInvalid).fact("scope", unknown));
    }
    let forbidden = scopes.filtered(|scope| scope.is_oidc() || !registered.scope.contains(scope.as_str()));
    if !forbidden.is_empty() {
        return Err(Refusal::new(Denial::ScopeNotAllowed).fact("scope", forbidden));
    }
    let resources = apis.resources(resource.as_deref().into_iter())?;
    apis.check_together(&scopes, &resources)?;
    let asked = &Ok(RequestedAccess::default());
    // What is asked for now is not what was granted before.
    let granted_at = Timestamp::from_millis(i64::MAX);
    let (granted, granted_resources) = (&scopes, &resources[..]);
    let request =
        AccessRequest { apis, granted, granted_at, registered: granted, requested: granted, granted_resources, asked };
    let access = request.narrow()?;
    Ok((access.api.ok_or(Denial::ScopeMissing)?, access.scopes))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        api::{ApiMetadata, DescribedScope, TokenFormat},
        id::ApiId,
        jwk::Algorithm,
        random::SeededRng,
        scope::{EndedScopes, Scope},
    };

    pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    pub(crate) fn api(name: &str, scopes: &[&str]) -> Arc<Api> {
        let described =
            |scope: &&str| DescribedScope { scope: Scope::parse(scope).unwrap(), description: String::new() };
        Arc::new(Api {
            id: ApiId::new(Timestamp::from_millis(1), &SeededRng::new(name.bytes().map(u64::from).sum())),
            created_at: Timestamp::from_millis(1),
            metadata: ApiMetadata {
                name: name.into(),
                identifier: ResourceIdentifier::parse(&format!("https://{name}.example")).unwrap(),
                scopes: scopes.iter().map(described).collect(),
                roles: [].into(),
                token_format: TokenFormat::Jwt,
                signing_algorithm: Algorithm::EdDSA,
                access_token_ttl: Duration::from_secs(300),
                key_prefix: Default::default(),
                user_key_scopes: Default::default(),
                public_scopes: Default::default(),
                leak_policy: Default::default(),
                key_policy: None,
            },
        })
    }

    pub(crate) fn apis() -> Apis {
        Apis::new(vec![api("notes", &["notes:read", "notes:write"]), api("mails", &["mails:read"])])
    }

    pub(crate) fn scopes(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn narrow(granted: &str, resources: &[&str], resource: Option<&str>) -> Result<(Option<String>, String), Denial> {
        let apis = apis();
        let resources = apis.resources(resources.iter().copied()).map_err(|refusal| refusal.denial)?;
        let (granted, granted_resources) = (&scopes(granted), &resources[..]);
        let asked = &Ok(RequestedAccess { scopes: None, resource: resource.map(str::to_owned) });
        let request = AccessRequest {
            apis: &apis,
            granted,
            granted_at: NOW,
            registered: granted,
            requested: granted,
            granted_resources,
            asked,
        };
        let access = request.narrow().map_err(|refusal| refusal.denial)?;
        Ok((access.api.map(|api| api.metadata.name.clone()), access.scopes.to_string()))
    }

    #[test]
    fn scopes_taken_from_the_client_are_left_out() {
        let (apis, granted) = (apis(), scopes("openid notes:read notes:write offline_access"));
        let asked = &Ok(RequestedAccess::default());
        let narrow = |registered: &ScopeSet| {
            let request = AccessRequest {
                apis: &apis,
                granted: &granted,
                granted_at: NOW,
                registered,
                requested: &granted,
                granted_resources: &[],
                asked,
            };
            request.narrow().map(|access| access.scopes.to_string()).map_err(|refusal| refusal.denial)
        };
        assert_eq!(narrow(&scopes("openid notes:read offline_access")), Ok("notes:read offline_access openid".into()));
        assert_eq!(narrow(&scopes("mails:read offline_access")), Err(Denial::ScopeNotAllowed));
    }

    #[test]
    fn the_api_is_inferred_from_the_scopes() {
        let notes = Ok((Some("notes".to_owned()), "notes:read openid".to_owned()));
        assert_eq!(narrow("openid notes:read", &[], None), notes);
        assert_eq!(narrow("openid notes:read mails:read", &[], None), Err(Denial::ScopeOfSeveralApis));
        assert_eq!(narrow("openid profile", &[], None), Ok((None, "openid profile".to_owned())));
    }

    #[test]
    fn a_resource_narrows_and_never_widens() {
        let both = &["https://notes.example", "https://mails.example/"];
        assert_eq!(narrow("notes:read mails:read", both, None), Ok((Some("notes".into()), "notes:read".into())));
        let mails_first = &["https://mails.example", "https://notes.example"];
        assert_eq!(
            narrow("notes:read mails:read", mails_first, None),
            Ok((Some("mails".into()), "mails:read".into())),
            "the first one that was named"
        );
        assert_eq!(
            narrow("notes:read mails:read", both, Some("https://mails.example")),
            Ok((Some("mails".into()), "mails:read".into()))
        );
        assert_eq!(narrow("notes:read", &both[..1], Some("https://mails.example")), Err(Denial::ResourceNotGranted));
        assert_eq!(narrow("notes:read", &[], Some("https://mails.example")), Err(Denial::ResourceNotGranted));
        assert_eq!(narrow("notes:read", &[], Some("https://other.example")), Err(Denial::ResourceUnknown));
        assert_eq!(narrow("notes:read", &["https://other.example"], None), Err(Denial::ResourceUnknown));
    }

    #[test]
    fn repeated_request_gets_what_the_user_allowed_of_it() {
        let apis = apis();
        let again = |requested: &str, granted: &str, asked: &str| {
            let (granted, requested) = (&scopes(granted), &scopes(requested));
            let asked = &Ok(RequestedAccess { scopes: Some(scopes(asked)), resource: None });
            let request = AccessRequest {
                apis: &apis,
                granted,
                granted_at: NOW,
                registered: granted,
                requested,
                granted_resources: &[],
                asked,
            };
            request.narrow().map(|access| access.scopes.to_string()).map_err(|refusal| refusal.denial)
        };
        let all = "openid notes:read notes:write";
        assert_eq!(again(all, "openid notes:read", all), Ok("notes:read openid".into()));
        assert_eq!(again(all, "openid notes:read", "openid"), Ok("openid".into()));
        assert_eq!(again(all, "openid", "notes:write"), Err(Denial::ScopeExceedsGrant));
        assert_eq!(again("openid notes:read", "openid notes:read", all), Err(Denial::ScopeExceedsGrant));
        assert_eq!(again("openid", "openid", "openid address"), Ok("openid".into()));
        assert_eq!(again("notes:read", "notes:read", "notes:read address"), Err(Denial::ScopeExceedsGrant));
    }

    #[test]
    fn request_that_can_not_be_read_is_refused_where_it_is_narrowed() {
        let read = |form: &str| RequestedAccess::parse(&Parameters::parse(form.as_bytes()).unwrap());
        let expected = RequestedAccess { scopes: Some(scopes("a")), resource: Some("https://r.example".into()) };
        assert_eq!(read("scope=a&resource=https://r.example&resource=&audience=x&audience=y"), Ok(expected));
        for (form, denial) in [
            ("scope=%22", Denial::ScopeMalformed),
            ("scope=a&scope=a", Denial::ParameterRepeated),
            ("resource=https://a.example&resource=https://b.example", Denial::ParameterRepeated),
            ("made_up=1&made_up=1", Denial::ParameterRepeated),
        ] {
            let (apis, granted) = (apis(), scopes("openid"));
            let asked = &read(form);
            let granted = &granted;
            let request = AccessRequest {
                apis: &apis,
                granted,
                granted_at: NOW,
                registered: granted,
                requested: granted,
                granted_resources: &[],
                asked,
            };
            assert_eq!(request.narrow().unwrap_err().denial, denial, "{form}");
        }
        let with_code = RequestedAccess::with_code(&Parameters::parse(b"scope=%22").unwrap());
        assert_eq!(with_code, Ok(RequestedAccess::default()), "with a code, `scope` is no parameter");
    }

    #[test]
    fn scopes_of_an_api_that_was_not_named_are_refused_at_once() {
        let apis = apis();
        let notes = apis.resources(["https://notes.example"].into_iter()).unwrap();
        assert!(apis.check_together(&scopes("openid notes:read"), &notes).is_ok());
        assert!(apis.check_together(&scopes("notes:read mails:read"), &notes).is_err());
        assert!(apis.check_together(&scopes("notes:read mails:read"), &[]).is_err());
    }

    #[test]
    fn an_api_of_which_no_scope_was_granted_gets_no_token() {
        let apis = apis();
        let notes = apis.resources(["https://notes.example"].into_iter()).unwrap();
        assert_eq!(apis.check_together(&scopes("openid"), &notes).unwrap_err().denial, Denial::ResourceNotGranted);
        let both = &["https://notes.example", "https://mails.example"];
        assert_eq!(narrow("openid", both, None), Ok((None, "openid".into())));
        assert_eq!(narrow("openid", both, Some("https://mails.example")), Err(Denial::ResourceNotGranted));
        assert_eq!(narrow("openid mails:read", both, None), Ok((Some("mails".into()), "mails:read openid".into())));
    }

    #[test]
    fn scopes_removed_after_the_grant_give_nothing() {
        let removed = |at: Timestamp| [(Scope::parse("notes:read").unwrap(), at)].into_iter().collect::<EndedScopes>();
        let narrow = |granted: &str, asked: Option<&str>, removed_at: Timestamp| {
            let (apis, granted) = (&apis().with_ended(removed(removed_at)), &scopes(granted));
            let asked = &Ok(RequestedAccess { scopes: asked.map(scopes), resource: None });
            let request = AccessRequest {
                apis,
                granted,
                granted_at: NOW,
                registered: granted,
                requested: granted,
                granted_resources: &[],
                asked,
            };
            request.narrow().map(|access| access.scopes.to_string()).map_err(|refusal| refusal.denial)
        };
        let (both, before) = ("notes:read notes:write", NOW.minus(Duration::from_millis(1)));
        assert_eq!(narrow(both, None, NOW), Ok("notes:write".into()));
        assert_eq!(narrow(both, Some(both), NOW), Ok("notes:write".into()), "the client repeats what it asked for");
        assert_eq!(narrow(both, Some("notes:read"), NOW), Err(Denial::ScopeExceedsGrant));
        assert_eq!(narrow("notes:read openid", None, NOW), Ok("openid".into()));
        assert_eq!(narrow(both, None, before), Ok(both.into()), "granted after the scope came back");
        for only in ["notes:read", "notes:read offline_access"] {
            assert_eq!(narrow(only, None, NOW), Err(Denial::GrantEnded), "{only}");
        }
        assert_eq!(narrow("offline_access", None, NOW), Ok("offline_access".into()), "nothing was lost");
    }

    #[test]
    fn client_credentials_give_own_scopes_of_one_api() {
        let client = |scope: &str, default_scope: &str| {
            let plain = crate::authorization_request::tests::client();
            let metadata = crate::client_metadata::ClientMetadata {
                scope: scopes(scope),
                default_scope: scopes(default_scope),
                ..plain.metadata
            };
            Client { metadata, ..plain }
        };
        let own = client("openid notes:read mails:read", "notes:read");
        let got = |client: &Client, asked: Option<&str>, resource: Option<&str>| {
            let asked = RequestedAccess { scopes: asked.map(scopes), resource: resource.map(str::to_owned) };
            let granted = client_credentials(&apis(), client, asked).map_err(|refusal| refusal.denial);
            granted.map(|(api, scopes)| (api.metadata.name.clone(), scopes.to_string()))
        };
        let notes = Ok(("notes".to_owned(), "notes:read".to_owned()));
        assert_eq!(got(&own, Some("notes:read"), None), notes);
        assert_eq!(got(&own, None, None), notes, "the default");
        assert_eq!(got(&own, Some("notes:read"), Some("https://notes.example")), notes);
        for (asked, resource, denial) in [
            ("notes:read nothing", None, Denial::ScopeInvalid),
            ("openid", None, Denial::ScopeNotAllowed),
            ("notes:write", None, Denial::ScopeNotAllowed),
            ("notes:read mails:read", None, Denial::ScopeOfSeveralApis),
            ("notes:read", Some("https://mails.example"), Denial::ScopeOfSeveralApis),
            ("", None, Denial::ScopeMissing),
        ] {
            assert_eq!(got(&own, Some(asked), resource), Err(denial), "{asked}");
        }
        for resource in [None, Some("https://notes.example")] {
            assert_eq!(got(&client("notes:read", ""), None, resource), Err(Denial::ScopeMissing));
        }
    }
}
