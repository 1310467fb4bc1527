//! A caller's request, verified on behalf of an API that passes on the parts that can carry a credential.
//!
//! Easy to get wrong: choosing between credentials. A request with two of them, or with one in its URL, is refused, as the
//! guard refuses it.

use std::{net::IpAddr, sync::Arc};

use doorward_core::{
    allowed_origins,
    api::Api,
    credential,
    denial::{Class, Denial},
    legacy::{LegacyUse, LegacyWay},
    network::Network,
    policy::{self, Requirement},
    principal::PrincipalKind,
    query_key::{QueryKeys, TakenKey},
    refusal::Refusal,
    secret::ExposeSecret,
};

use super::{
    LocalVerifier,
    api_key::{Sender, Use},
    local::Found,
};
use crate::app::App;

/// What an API passes on of its caller's request. Each header has all of its values.
pub(crate) struct Presented {
    pub(crate) authorization: Vec<String>,
    pub(crate) x_api_key: Vec<String>,
    pub(crate) origin: Vec<String>,
    pub(crate) user_agent: Vec<String>,
    /// The conditions under which the route accepts a key in its query, if it does.
    pub(crate) query_keys: Option<QueryKeys>,
    /// Whether the route accepts live keys from browsers and apps.
    pub(crate) keys_in_browsers: bool,
    pub(crate) method: String,
    /// The request target as the caller sent it: usually the path with its query.
    pub(crate) uri: String,
    /// What the route demands.
    pub(crate) requirement: Requirement,
    /// The caller's address, if the API knows it.
    pub(crate) address: Option<IpAddr>,
}

/// Why a caller is refused, and who it is, if that is known.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) principal: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        // Such a key is valid, and may only not be used like this: it is named as whose request it was.
        let is_known = refusal.denial.class() == Class::Permission;
        let principal = refusal.known_fact("key").filter(|_| is_known).map(str::to_owned);
        Self { refusal, principal }
    }
}

impl Presented {
    /// The path alone: what is before and behind it may hold a password or a token.
    pub(crate) fn path(&self) -> &str {
        let path = self.uri.split(['?', '#']).next().unwrap_or_default();
        match path.split_once("://") {
            Some((_, behind)) if !path.starts_with('/') => behind.find('/').map_or("/", |at| &behind[at..]),
            _ => path,
        }
    }

    /// Everything behind the path as one query: a caller may also send a fragment.
    fn query(&self) -> Option<String> {
        self.uri.split_once(['?', '#']).map(|(_, query)| query.replace(['?', '#'], "&"))
    }

    /// The key in the query, if the route accepts one there.
    fn taken_key(&self) -> Result<Option<TakenKey>, Refusal> {
        let (Some(keys), Some(query)) = (&self.query_keys, self.query()) else { return Ok(None) };
        Ok(keys.take(&query)?)
    }

    /// What answers say of the legacy way that the request came by, if it did.
    pub(crate) fn way_headers(&self, page: &str) -> Vec<(&'static str, String)> {
        match (&self.query_keys, self.taken_key()) {
            (Some(keys), Ok(Some(_))) => keys.headers(page).into(),
            _ => Vec::new(),
        }
    }

    fn with_query(&self, query: Option<String>) -> String {
        match query {
            Some(query) => format!("{}?{query}", self.path()),
            None => self.path().to_owned(),
        }
    }

    /// What says that a browser or an app sent it, unless the route allows that.
    fn sender(&self) -> Option<Sender<'_>> {
        let origin = self.origin.iter().map(String::as_bytes).collect();
        let user_agent = self.user_agent.iter().map(String::as_bytes).collect();
        let sender = Sender { origin, user_agent };
        Some(sender).filter(|_| !self.keys_in_browsers)
    }
}

/// A request that may pass.
pub(crate) struct Passed {
    /// Who calls, and the limits of its key.
    pub(crate) found: Found,
    /// The request target without the key, if the key was in its query.
    pub(crate) uri: Option<String>,
}

/// The principal of the request, which meets what the route demands.
pub(crate) async fn verify(app: &Arc<App>, api: &Api, presented: &Presented) -> Result<Passed, Refused> {
    let (authorization, query) = (presented.authorization.iter().map(String::as_bytes), presented.query());
    let x_api_key = presented.x_api_key.iter().map(String::as_bytes);
    let taken = presented.taken_key()?;
    if let (Some(keys), Some(_)) = (&presented.query_keys, &taken) {
        keys.check(presented.address, app.now())?;
        app.check_query_rate(&api.id, keys)?;
    }
    let query = taken.as_ref().map_or(query.as_deref(), |taken| taken.rest.as_deref());
    let credential = credential::present(authorization, x_api_key, query).map_err(Refusal::from)?;
    let in_query = taken.as_ref().map(|taken| taken.key.expose_secret());
    let credential = credential::with_query_key(credential, in_query).map_err(Refusal::from)?;
    let credential = credential.ok_or_else(|| Refusal::from(Denial::CredentialMissing))?;
    let verifier = LocalVerifier::new(app.clone(), api.metadata.identifier.clone());
    let origin = allowed_origins::sent(presented.origin.iter().map(String::as_bytes));
    let (address, sender) = (presented.address, presented.sender());
    let used = Use { address, origin, sender, requirement: &presented.requirement, further_uses: 0 };
    let found = verifier.find(&credential, used).await?;
    let principal = &found.verified.principal;
    if let (Some(keys), Some(_)) = (&presented.query_keys, &taken) {
        app.count_by_query(&api.id, keys)?;
        let network = presented.address.map(Network::of);
        let used = LegacyUse::one(LegacyWay::Query, &principal.subject, keys.route(), network, app.now());
        app.note_legacy_uses(&api.id, [used]);
    }
    if principal.kind == PrincipalKind::Key {
        app.note_caller(&principal.subject, presented.address, presented.user_agent.first().map(String::as_str));
    }
    match policy::authorize(principal, &presented.requirement) {
        Ok(()) => Ok(Passed { found, uri: taken.map(|taken| presented.with_query(taken.rest)) }),
        Err(refusal) => Err(Refused { refusal, principal: Some(principal.subject.clone()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(uri: &str) -> Presented {
        let (method, uri) = ("GET".to_owned(), uri.to_owned());
        let requirement = Requirement::authenticated();
        Presented {
            authorization: Vec::new(),
            x_api_key: Vec::new(),
            origin: Vec::new(),
            user_agent: Vec::new(),
            query_keys: None,
            keys_in_browsers: false,
            method,
            uri,
            requirement,
            address: None,
        }
    }

    #[test]
    fn path_holds_neither_authority_nor_query_nor_fragment() {
        for (uri, path) in [
            ("/notes?page=2", "/notes"),
            ("/notes#a?b", "/notes"),
            ("http://user:password@api.example/notes?a", "/notes"),
            ("https://api.example", "/"),
            ("/go?to=http://api.example/x", "/go"),
            ("/go/http://api.example/x", "/go/http://api.example/x"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(presented(uri).path(), path, "{uri}");
        }
    }

    #[test]
    fn everything_behind_the_path_is_searched_for_credentials() {
        for uri in ["/a?api_key=x", "/a#api_key=x", "/a?b=c#api_key=x", "/a#b?api_key=x"] {
            assert!(presented(uri).query().is_some_and(|query| credential::query_has_credential(&query)), "{uri}");
        }
        assert_eq!(presented("/a").query(), None);
    }
}
