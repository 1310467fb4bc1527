//! JWTs that were verified before, so that the signature is checked once and not at every request.
//!
//! Only what can't change is skipped. The times are checked at each use, and an entry counts under the generation of
//! keys that it was verified with, so no entry outlives its token or its key. Bounded: about a kilobyte for each.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    access_token::AccessToken, api::ResourceIdentifier, clock::Timestamp, digest::Digest, principal::Principal,
    refusal::Refusal,
};
use quick_cache::sync::Cache;

/// The most tokens that are remembered.
const CAPACITY: usize = 10_000;

pub(super) struct SeenTokens(Cache<Digest, Arc<SeenToken>>);

pub(super) struct SeenToken {
    token: AccessToken,
    principal: Arc<Principal>,
    generation: u64,
}

impl SeenToken {
    /// The principal, if the token's times still hold.
    pub(super) fn principal(&self, skew: Duration, now: Timestamp) -> Result<Arc<Principal>, Refusal> {
        self.token.check_times(skew, now)?;
        Ok(self.principal.clone())
    }
}

impl Default for SeenTokens {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl SeenTokens {
    pub(super) fn find(&self, digest: &Digest, generation: u64) -> Option<Arc<SeenToken>> {
        self.0.get(digest).filter(|seen| seen.generation == generation)
    }

    pub(super) fn keep(
        &self,
        digest: Digest,
        token: AccessToken,
        audience: ResourceIdentifier,
        generation: u64,
    ) -> Arc<Principal> {
        let principal = Arc::new(token.clone().into_principal(audience));
        self.0.insert(digest, Arc::new(SeenToken { token, principal: principal.clone(), generation }));
        principal
    }
}
