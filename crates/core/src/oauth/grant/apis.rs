//! The APIs of a server, to find one by its identifier or its scopes.

use std::sync::Arc;

use crate::{
    api::{Api, ResourceIdentifier, TokenFormat},
    clock::Timestamp,
    denial::Denial,
    id::ApiId,
    refusal::Refusal,
    scope::{self, EndedScopes, Scope, ScopeSet},
};

/// The maximum number of resources in one request.
const MAX_RESOURCES: usize = 16;

/// All APIs, for look-ups, and the scopes that they had.
#[derive(Clone, Debug, Default)]
pub struct Apis {
    all: Vec<Arc<Api>>,
    ended: EndedScopes,
}

impl Apis {
    /// The given APIs, to search by identifier or scope.
    pub fn new(all: Vec<Arc<Api>>) -> Self {
        Self { all, ended: EndedScopes::default() }
    }

    /// The same APIs, which had these scopes before.
    pub fn with_ended(self, ended: EndedScopes) -> Self {
        Self { ended, ..self }
    }

    /// Other APIs, where the same scopes were removed before, and these at `now`.
    pub fn replaced(&self, all: Vec<Arc<Api>>, removed: impl IntoIterator<Item = Scope>, now: Timestamp) -> Self {
        Self { all, ended: self.ended.and(removed, now) }
    }

    /// All but the API with this id.
    pub fn without(&self, id: &ApiId) -> Self {
        let all = self.all.iter().filter(|api| api.id != *id).cloned().collect();
        Self { all, ended: self.ended.clone() }
    }

    /// Only some of the APIs, to look up names among.
    pub fn only(&self, is_kept: impl Fn(&Api) -> bool) -> Self {
        let all = self.all.iter().filter(|api| is_kept(api)).cloned().collect();
        Self { all, ended: self.ended.clone() }
    }

    /// The scopes that still count, of those that were given to a grant, a consent, a key or a token at `since`: they
    /// exist, and were not removed from an API since then.
    pub fn living(&self, scopes: &ScopeSet, since: Timestamp) -> ScopeSet {
        self.known(&self.ended.living(scopes, since))
    }

    /// When the scopes count as given that a client or key is to have from `now` on. Those that it had since `since` stay as
    /// they are, if nothing changes of what still counts of them; else all are given again.
    pub fn given_at(&self, to: &ScopeSet, from: &ScopeSet, since: Timestamp, now: Timestamp) -> Timestamp {
        match self.living(from, since) == *to {
            true => since,
            false => self.given_again(to, now),
        }
    }

    /// When scopes count as given that are given at `now`.
    pub fn given_again(&self, scopes: &ScopeSet, now: Timestamp) -> Timestamp {
        self.ended.given_at(scopes, now)
    }

    /// The scopes of a grant that still count. `None` where scopes were removed since, and nothing is left that a token
    /// could be for: the grant has ended.
    pub fn living_of_grant(&self, granted: &ScopeSet, granted_at: Timestamp) -> Option<ScopeSet> {
        let living = self.ended.living(granted, granted_at);
        let is_nothing = living.iter().all(|scope| scope.as_str() == scope::OFFLINE_ACCESS);
        (living == *granted || !is_nothing).then_some(living)
    }

    /// Whether one of the APIs accepts a token for `audience` that was issued at `issued_at`. A deleted API accepts none,
    /// and one that has its identifier since then accepts only its own.
    pub fn accepts(&self, audience: &str, issued_at: Timestamp) -> bool {
        self.all.iter().any(|api| {
            // Tokens name whole seconds.
            api.metadata.identifier.as_str() == audience && issued_at.as_secs() >= api.created_at.as_secs()
        })
    }

    /// The API that `resource` names.
    pub fn by_resource(&self, resource: &str) -> Option<&Arc<Api>> {
        self.all.iter().find(|api| api.metadata.identifier.matches(resource))
    }

    /// The API of this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Api>> {
        self.all.iter().find(|api| api.metadata.name == name)
    }

    /// The API that somebody means by a name, an id or an identifier.
    pub fn named(&self, name: &str) -> Option<&Arc<Api>> {
        let is_meant = |api: &&Arc<Api>| {
            api.metadata.name == name || api.id.as_str() == name || api.metadata.identifier.matches(name)
        };
        self.all.iter().find(is_meant)
    }

    /// The API with this id.
    pub fn by_id(&self, id: &ApiId) -> Option<&Arc<Api>> {
        self.all.iter().find(|api| api.id == *id)
    }

    /// Every API, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.all.iter()
    }

    /// Whether one of them wants opaque tokens.
    pub fn any_opaque(&self) -> bool {
        self.all.iter().any(|api| api.metadata.token_format == TokenFormat::Opaque)
    }

    /// Only the scopes that exist: an API's or the authorization server's own.
    pub fn known(&self, scopes: &ScopeSet) -> ScopeSet {
        scopes.filtered(|scope| self.knows(scope))
    }

    /// The scopes that do not exist.
    pub fn unknown(&self, scopes: &ScopeSet) -> ScopeSet {
        scopes.filtered(|scope| !self.knows(scope))
    }

    pub(super) fn knows(&self, scope: &Scope) -> bool {
        scope.is_oidc() || self.all.iter().any(|api| api.has_scope(scope))
    }

    /// Reads `resource` parameters, in their order.
    pub fn resources<'a>(&self, asked: impl Iterator<Item = &'a str>) -> Result<Vec<ResourceIdentifier>, Refusal> {
        let mut resources = Vec::new();
        for (at, resource) in asked.filter(|resource| !resource.is_empty()).enumerate() {
            if at == MAX_RESOURCES {
                return Err(Refusal::new(Denial::ParameterInvalid).parameter("resource"));
            }
            let unknown = || Refusal::new(Denial::ResourceUnknown).fact("resource", resource);
            let identifier = self.by_resource(resource).ok_or_else(unknown)?.metadata.identifier.clone();
            if !resources.contains(&identifier) {
                resources.push(identifier);
            }
        }
        Ok(resources)
    }

    /// The APIs that the scopes belong to, the authorization server's own scopes aside.
    pub fn of_scopes(&self, scopes: &ScopeSet) -> Vec<&Arc<Api>> {
        self.all.iter().filter(|api| scopes.iter().any(|scope| api.has_scope(scope))).collect()
    }

    /// Checks at /authorize that the scopes can be granted together: all of the named resources, or of one API.
    pub fn check_together(&self, scopes: &ScopeSet, resources: &[ResourceIdentifier]) -> Result<(), Refusal> {
        let apis = self.of_scopes(scopes);
        let several = || Refusal::new(Denial::ScopeOfSeveralApis).fact("scope", scopes);
        match resources {
            [] if apis.len() > 1 => Err(several()),
            [] => Ok(()),
            named if !apis.iter().all(|api| named.contains(&api.metadata.identifier)) => Err(several()),
            // A resource without a scope of it would be a token that nobody was asked for.
            named => match named.iter().find(|named| !apis.iter().any(|api| api.metadata.identifier == **named)) {
                Some(unasked) => Err(Refusal::new(Denial::ResourceNotGranted).fact("resource", unasked)),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        api::ApiMetadata,
        grant::audience::tests::{NOW, api, apis, scopes},
    };

    #[test]
    fn living_scopes_exist_and_were_not_removed_since() {
        let ended = [(Scope::parse("notes:read").unwrap(), NOW)].into_iter().collect();
        let apis = apis().with_ended(ended);
        let given = scopes("notes:read notes:write gone openid");
        assert_eq!(apis.living(&given, NOW), scopes("notes:write openid"));
        let later = NOW.plus(Duration::from_millis(1));
        assert_eq!(apis.living(&given, later), scopes("notes:read notes:write openid"));
    }

    #[test]
    fn changed_scopes_count_as_given_now() {
        let apis = apis().with_ended([(Scope::parse("notes:read").unwrap(), NOW)].into_iter().collect());
        let (had, since, now) = (scopes("notes:read notes:write"), NOW, NOW.plus(Duration::from_secs(1)));
        assert_eq!(apis.given_at(&scopes("notes:write"), &had, since, now), since, "what still counts stays");
        assert_eq!(apis.given_at(&had, &had, since, now), now, "a removed scope is given again");
        assert_eq!(apis.given_at(&scopes("openid"), &had, since, now), now);
    }

    #[test]
    fn scopes_that_an_api_loses_end_what_was_given() {
        let (notes, given) = (vec![api("notes", &["notes:read"])], scopes("notes:read"));
        let moved = apis().replaced(notes, [Scope::parse("notes:read").unwrap()], NOW);
        assert_eq!(moved.living(&given, NOW), scopes(""));
        assert_eq!(moved.living(&given, moved.given_again(&given, NOW)), given);
        let earlier = moved.replaced(vec![], [Scope::parse("notes:read").unwrap()], NOW.minus(Duration::from_secs(1)));
        assert!(earlier.given_again(&given, Timestamp::from_secs(0)) > NOW, "an earlier removal changes nothing");
    }

    #[test]
    fn audience_is_accepted_of_an_api_that_exists_since_before() {
        let notes = Arc::new(Api { created_at: NOW.plus(Duration::from_millis(900)), ..(*api("notes", &[])).clone() });
        let apis = Apis::new(vec![notes.clone()]);
        assert!(apis.accepts("https://notes.example", NOW), "in the second in which the API was created");
        assert!(!apis.accepts("https://notes.example", NOW.minus(Duration::from_secs(1))));
        assert!(!apis.accepts("https://mails.example", NOW));
        assert!(!apis.without(&notes.id).accepts("https://notes.example", NOW));
    }

    #[test]
    fn request_names_16_resources_at_most_and_each_counts_once() {
        let apis = apis();
        let read = |count| apis.resources(std::iter::repeat_n("https://notes.example", count));
        assert_eq!(read(16).unwrap().len(), 1);
        assert_eq!(read(17).unwrap_err().denial, Denial::ParameterInvalid);
        assert_eq!(apis.resources(["", "https://mails.example"].into_iter()).unwrap().len(), 1);
    }

    #[test]
    fn apis_are_found_by_name_and_id_and_asked_for_opaque_tokens() {
        let apis = apis();
        let mails = apis.by_name("mails").unwrap();
        assert_eq!(apis.by_id(&mails.id).unwrap().metadata.name, "mails");
        assert!(apis.by_name("other").is_none() && apis.iter().count() == 2 && !apis.any_opaque());
        let metadata = ApiMetadata { token_format: TokenFormat::Opaque, ..mails.metadata.clone() };
        assert!(Apis::new(vec![Arc::new(Api { metadata, ..(**mails).clone() })]).any_opaque());
        let asked = scopes("openid notes:read nothing");
        assert_eq!((apis.known(&asked), apis.unknown(&asked)), (scopes("openid notes:read"), scopes("nothing")));
    }
}
