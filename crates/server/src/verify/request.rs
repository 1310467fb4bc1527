//! A caller's request, verified on behalf of an API that passes on the parts that can carry a credential.
//!
//! Easy to get wrong: choosing between credentials. A request with two of them, or with one in its URL, is refused, as the
//! guard refuses it.

use std::sync::Arc;

use doorward_core::{
    api::Api, credential, denial::Denial, policy, principal::Principal, refusal::Refusal, scope::ScopeSet,
};

use super::LocalVerifier;
use crate::app::App;

/// What an API passes on of its caller's request. Each header has all of its values.
pub(crate) struct Presented {
    pub(crate) authorization: Vec<String>,
    pub(crate) x_api_key: Vec<String>,
    pub(crate) method: String,
    /// The path with its query, as the caller sent it.
    pub(crate) uri: String,
    pub(crate) scopes: ScopeSet,
}

/// The principal of the request, which has every scope that the API asks for.
pub(crate) async fn verify(app: &Arc<App>, api: &Api, presented: &Presented) -> Result<Principal, Refusal> {
    let (path, query) = match presented.uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*presented.uri, None),
    };
    found(app, api, presented, query).await.map_err(|refusal| {
        refusal.fact("api", &api.metadata.name).fact("requested", format_args!("{} {path}", presented.method))
    })
}

async fn found(app: &Arc<App>, api: &Api, presented: &Presented, query: Option<&str>) -> Result<Principal, Refusal> {
    let authorization = presented.authorization.iter().map(String::as_bytes);
    let credential = credential::present(authorization, presented.x_api_key.iter().map(String::as_bytes), query)?;
    let credential = credential.ok_or(Denial::CredentialMissing)?;
    let principal = LocalVerifier::new(app.clone(), api.metadata.identifier.clone()).principal(&credential).await?;
    policy::authorize(&principal, &presented.scopes.clone().into())?;
    Ok(principal)
}
