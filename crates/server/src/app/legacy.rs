//! Legacy ways to present a key: their uses until they are written, and how fast the requests come that APIs pass on.
//!
//! Each server counts the rate for itself: behind N servers a route gets N times its rate at most.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use doorward_core::{
    denial::Denial,
    id::ApiId,
    legacy::{LegacyUse, LegacyUses},
    query_key::{Pace, QueryKeys},
    refusal::Refusal,
};
use doorward_store::{StoreError, legacy::RecordLegacyUses};

use crate::app::App;

/// The most routes of one API whose rate is counted at a time.
const MOST_ROUTES: usize = 200;

/// What is kept in memory about legacy ways.
#[derive(Default)]
pub(crate) struct Legacy {
    uses: Mutex<HashMap<ApiId, LegacyUses>>,
    paces: Mutex<HashMap<ApiId, HashMap<String, Pace>>>,
}

impl App {
    /// Notes uses of legacy ways at an API.
    pub(crate) fn note_legacy_uses(&self, api: &ApiId, uses: impl IntoIterator<Item = LegacyUse>) {
        let mut waiting = locked(&self.legacy.uses);
        let waiting = waiting.entry(api.clone()).or_default();
        uses.into_iter().for_each(|used| waiting.push(used));
    }

    /// Refuses a request with a key in its query while the rate of its route is used up.
    pub(crate) fn check_query_rate(&self, api: &ApiId, keys: &QueryKeys) -> Result<(), Refusal> {
        let paces = locked(&self.legacy.paces);
        let pace = paces.get(api).and_then(|routes| routes.get(keys.route())).copied().unwrap_or_default();
        keys.check_rate(&pace, self.now())
    }

    /// Counts a request with a valid key in its query against the rate of its route.
    pub(crate) fn count_by_query(&self, api: &ApiId, keys: &QueryKeys) -> Result<(), Refusal> {
        let (mut paces, now, route) = (locked(&self.legacy.paces), self.now(), keys.route());
        // An API that invents routes closes no other API's.
        let paces = paces.entry(api.clone()).or_default();
        if paces.len() >= MOST_ROUTES && !paces.contains_key(route) {
            paces.retain(|_, pace| !pace.is_at_rest(now));
            if paces.len() >= MOST_ROUTES {
                return Err(Refusal::new(Denial::LegacyRateLimited).fact("routes", "too many"));
            }
        }
        keys.count(paces.entry(route.to_owned()).or_default(), now)
    }

    /// Writes the noted uses. What can't be written waits on.
    pub async fn flush_legacy_uses(&self) -> Result<(), StoreError> {
        let noted = mem::take(&mut *locked(&self.legacy.uses));
        let mut written = Ok(());
        for (api, mut uses) in noted {
            let uses = uses.take();
            let outcome = self.store.write(RecordLegacyUses { api: api.clone(), uses: uses.clone() }).await;
            if let Err(error) = outcome {
                self.note_legacy_uses(&api, uses);
                written = Err(error);
            }
        }
        written
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
