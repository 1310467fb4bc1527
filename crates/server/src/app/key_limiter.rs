//! The limits of keys at their use.
//!
//! Rate limits are kept in the memory of this server: several servers together let several times as many through. Of quotas
//! and numbers of uses the server takes blocks out of the store and gives them out by itself.
//!
//! Easy to get wrong: what a caller who hangs up interrupts. What changes the store runs in a task of its own, so that no use is
//! forgotten that the store counts as taken, and none is given twice. Of a write that failed nobody knows whether it happened:
//! its uses count as given, which is the error that exceeds no limit.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    id::KeyId,
    key_limits::{Bucket, KeyLimits, LimitState, LimitStates, Limited, RateLimit},
    refusal::Refusal,
};
use doorward_store::{
    Store, StoreError,
    keys::{Budget, BudgetKind, KeyRecord, ReserveUses, Reserved, ReturnUses},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::{App, unavailable};

/// The most buckets that are not full, in each shard: about 100 bytes each.
const MOST_BUCKETS: usize = 16_384;
const SHARDS: usize = 16;
/// The most budgets out of which this server has uses, or had some a second ago.
const MOST_BUDGETS: usize = 100_000;
/// How long an empty budget is not asked for again. Another server may have put something back.
const EMPTY_FOR: Duration = Duration::from_millis(500);

/// What this server knows of the limits of keys.
#[derive(Default)]
pub(crate) struct KeyLimiter {
    hasher: RandomState,
    /// A bucket that is not here is full.
    buckets: [Mutex<HashMap<KeyId, Bucket>>; SHARDS],
    budgets: Mutex<Budgets>,
}

type Budgets = HashMap<(KeyId, BudgetKind), Arc<AsyncMutex<Held>>>;

/// The uses that this server has out of a budget.
#[derive(Default)]
struct Held {
    period: Timestamp,
    /// How many uses the budget has in all.
    max: u64,
    uses: u64,
    /// How many the store had left when it was asked last.
    left: u64,
    was_used: bool,
    empty_until: Timestamp,
}

/// A budget with its size, and when it is full again.
struct Counted {
    budget: Budget,
    max: u64,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl App {
    /// Takes a use of a key out of all of its limits. Returns what is left, or refuses and takes nothing.
    pub(crate) async fn take_use(&self, key: &KeyRecord) -> Result<LimitStates, Refusal> {
        let (limits, now, counted_as) = (key.metadata.use_limits, self.now(), key.counted_as());
        let mut states = LimitStates::default();
        if limits.is_empty() {
            return Ok(states);
        }
        let limiter = &self.key_limiter;
        if let Some(rate) = limits.rate_limit {
            let (state, taken) = limiter.take_from_bucket(counted_as, rate, self.time_of_buckets())?;
            states.rate_limit =
                Some(Limited { requests: rate.requests.into(), seconds: Some(rate.seconds.into()), state });
            taken.map_err(|wait| Refusal::new(Denial::KeyRateLimited).retry_after(wait).limits(states))?;
        }
        let counted = self.take_counted(counted_as, &limits, &mut states, now).await;
        if counted.is_err()
            && let Some(rate) = limits.rate_limit
        {
            limiter.put_back_into_bucket(counted_as, rate);
        }
        counted.map_err(|refusal| refusal.limits(states))?;
        Ok(states)
    }

    /// Buckets live as long as the process, so they go by its monotonic clock: nobody sets that back or ahead.
    fn time_of_buckets(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX))
    }

    async fn take_counted(
        &self,
        key: &KeyId,
        limits: &KeyLimits,
        states: &mut LimitStates,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (quota, uses) = (quota(key, limits, now), uses(key, limits));
        if let Some(quota) = &quota {
            let (is_taken, state) = self.take_one(quota, now).await?;
            states.quota = Some(state);
            if !is_taken {
                let wait = quota.until.map_or(Duration::ZERO, |until| until.since(now));
                return Err(Refusal::new(Denial::KeyQuotaExhausted).retry_after(wait));
            }
        }
        if let Some(uses) = &uses {
            let taken = self.take_one(uses, now).await;
            if !taken.as_ref().is_ok_and(|(is_taken, _)| *is_taken)
                && let Some(quota) = &quota
            {
                self.key_limiter.put_back_one(quota).await;
            }
            let (is_taken, state) = taken?;
            states.uses = Some(state);
            if !is_taken {
                return Err(Denial::KeyUsesExhausted.into());
            }
        }
        Ok(())
    }

    /// Takes a use out of a budget, if there is one.
    async fn take_one(&self, counted: &Counted, now: Timestamp) -> Result<(bool, Limited), Refusal> {
        let held = self.key_limiter.held(&counted.budget)?;
        let mut held = held.lock_owned().await;
        if held.needs_more(counted, now) {
            held = refill(self.store.clone(), held, counted, now).await?;
        }
        let is_taken = held.take();
        let left = held.uses + held.left;
        let resets_in =
            counted.until.map(|until| until.since(now)).map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let seconds = counted.from.zip(counted.until).map(|(from, until)| until.since(from).as_secs());
        Ok((is_taken, Limited { requests: counted.max, seconds, state: LimitState { left, resets_in } }))
    }

    /// How many uses this server has out of each of these, in their order.
    pub(crate) async fn held_uses(&self, budgets: &[Budget]) -> Vec<u64> {
        let mut all = Vec::with_capacity(budgets.len());
        for budget in budgets {
            let held = self.key_limiter.budgets().get(&(budget.key.clone(), budget.kind)).cloned();
            all.push(match held {
                Some(held) => {
                    let held = held.lock().await;
                    if held.period == budget.period { held.uses } else { 0 }
                }
                None => 0,
            });
        }
        all
    }

    /// Puts the uses back that this server has out of budgets of which none was used since the last call.
    pub async fn return_idle_uses(&self) -> Result<(), StoreError> {
        self.key_limiter.forget_full_buckets(self.time_of_buckets());
        let idle = self.key_limiter.idle();
        put_back(self.store.clone(), idle).await
    }

    /// Puts all uses back that this server has.
    pub async fn return_uses(&self) -> Result<(), StoreError> {
        let all: Vec<_> = self.key_limiter.budgets().iter().map(|(name, held)| (name.clone(), held.clone())).collect();
        let mut locked = Vec::with_capacity(all.len());
        for ((key, kind), held) in all {
            locked.push((key, kind, held.lock_owned().await));
        }
        put_back(self.store.clone(), locked).await
    }
}

fn quota(key: &KeyId, limits: &KeyLimits, now: Timestamp) -> Option<Counted> {
    let quota = limits.quota?;
    let period = quota.per.period(now);
    Some(Counted {
        budget: Budget { key: key.clone(), kind: quota.per.into(), period: period.from },
        max: quota.requests,
        from: Some(period.from),
        until: Some(period.until),
    })
}

fn uses(key: &KeyId, limits: &KeyLimits) -> Option<Counted> {
    let uses = limits.uses?;
    let budget = Budget { key: key.clone(), kind: BudgetKind::Uses, period: uses.since };
    Some(Counted { budget, max: uses.granted, from: None, until: None })
}

/// The budgets of a key that is counted as this one at `now`, each with its size: that of its quota, and that of its number of uses.
pub(crate) fn budgets(key: &KeyId, limits: &KeyLimits, now: Timestamp) -> [Option<(Budget, u64)>; 2] {
    [quota(key, limits, now), uses(key, limits)].map(|counted| counted.map(|counted| (counted.budget, counted.max)))
}

type LockedHeld = OwnedMutexGuard<Held>;

/// Takes another block out of the store. The task goes on if the caller does not wait for it any more.
async fn refill(store: Store, mut held: LockedHeld, counted: &Counted, now: Timestamp) -> Result<LockedHeld, Refusal> {
    let (budget, max) = (counted.budget.clone(), counted.max);
    let task = tokio::spawn(async move {
        // Of another time, or before the number of uses was set again: those are gone.
        let returned = if held.period == budget.period { held.uses } else { 0 };
        *held = Held { period: budget.period, max, ..Held::default() };
        let Reserved { taken, left } = store.write(ReserveUses { budget, max, returned }).await?;
        (held.uses, held.left) = (taken, left);
        if taken == 0 {
            held.empty_until = now.plus(EMPTY_FOR);
        }
        Ok(held)
    });
    let done = task.await.unwrap_or_else(|error| Err(StoreError::Fault(error.to_string())));
    done.map_err(unavailable)
}

/// Writes what was put back. The task goes on if the server's own one ends meanwhile.
async fn put_back(store: Store, locked: Vec<(KeyId, BudgetKind, LockedHeld)>) -> Result<(), StoreError> {
    let task = tokio::spawn(async move {
        let mut locked = locked;
        let taken = locked.iter_mut().map(|(key, kind, held)| {
            let uses = std::mem::take(&mut held.uses);
            held.left += uses;
            (Budget { key: key.clone(), kind: *kind, period: held.period }, uses)
        });
        let uses: Vec<_> = taken.filter(|(_, uses)| *uses > 0).collect();
        if uses.is_empty() {
            return Ok(());
        }
        // Nobody else takes uses of these keys until it is written, and finds nothing left.
        let written = store.write(ReturnUses { uses }).await;
        drop(locked);
        written
    });
    task.await.unwrap_or_else(|error| Err(StoreError::Fault(error.to_string())))
}

impl Held {
    /// Whether the store must be asked before a use can be taken, or refused.
    fn needs_more(&self, counted: &Counted, now: Timestamp) -> bool {
        let is_other = self.period != counted.budget.period || self.max != counted.max;
        // An emptiness that lies far ahead is that of a clock that was set back.
        let is_known_empty = now < self.empty_until && self.empty_until.since(now) <= EMPTY_FOR;
        is_other || (self.uses == 0 && !is_known_empty)
    }

    fn take(&mut self) -> bool {
        self.was_used = true;
        match self.uses.checked_sub(1) {
            Some(left) => {
                self.uses = left;
                true
            }
            None => false,
        }
    }
}

impl KeyLimiter {
    /// Takes a use out of the bucket of a key. Returns what is left in it, and if there was none, how long to wait.
    fn take_from_bucket(
        &self,
        key: &KeyId,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<(LimitState, Result<(), Duration>), Refusal> {
        let mut buckets = self.buckets_with(key);
        let before = buckets.get(key).copied().unwrap_or_default();
        let (after, taken) = match before.take(limit, now) {
            Ok(after) => (after, Ok(())),
            Err(wait) => (before, Err(wait)),
        };
        if taken.is_ok() && !buckets.contains_key(key) && buckets.len() >= MOST_BUCKETS {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= MOST_BUCKETS {
                return Err(too_many());
            }
        }
        if taken.is_ok() {
            buckets.insert(key.clone(), after);
        }
        Ok((after.state(limit, now), taken))
    }

    fn put_back_into_bucket(&self, key: &KeyId, limit: RateLimit) {
        if let Some(bucket) = self.buckets_with(key).get_mut(key) {
            *bucket = bucket.put_back(limit);
        }
    }

    /// A bucket that is full is the same as one that was never used.
    fn forget_full_buckets(&self, now: Timestamp) {
        for shard in &self.buckets {
            let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
    }

    fn buckets_with(&self, key: &KeyId) -> MutexGuard<'_, HashMap<KeyId, Bucket>> {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.buckets[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, budget: &Budget) -> Result<Arc<AsyncMutex<Held>>, Refusal> {
        let mut budgets = self.budgets();
        let name = (budget.key.clone(), budget.kind);
        if budgets.len() >= MOST_BUDGETS && !budgets.contains_key(&name) {
            return Err(too_many());
        }
        Ok(budgets.entry(name).or_default().clone())
    }

    async fn put_back_one(&self, counted: &Counted) {
        if let Ok(held) = self.held(&counted.budget) {
            let mut held = held.lock().await;
            if held.period == counted.budget.period {
                held.uses += 1;
            }
        }
    }

    /// What was not used since the last call and has uses, locked. What has none and was not used is forgotten.
    fn idle(&self) -> Vec<(KeyId, BudgetKind, LockedHeld)> {
        let mut idle = Vec::new();
        self.budgets().retain(|(key, kind), shared| {
            // One that is locked is in use.
            let Ok(mut held) = shared.clone().try_lock_owned() else { return true };
            if std::mem::take(&mut held.was_used) {
                return true;
            }
            if held.uses > 0 {
                idle.push((key.clone(), *kind, held));
                return true;
            }
            drop(held);
            // Nobody else can take it out meanwhile, since the map is locked.
            Arc::strong_count(shared) > 1
        });
        idle
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Refusal {
    Refusal::new(Denial::Unavailable)
        .fact("limits", "too many keys with a limit at once")
        .retry_after(Duration::from_secs(1))
}
