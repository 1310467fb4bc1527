//! What the issuer said about API keys and opaque tokens: each verdict is kept for a moment, callers with the same
//! credential share one question, and questions take turns by the callers' networks.
//!
//! The age of a verdict counts from when it was asked, not from when the answer came, and nobody joins a question that
//! is older than a verdict may be: otherwise a slow answer would stretch the time in which a revoked key still works.
//!
//! Some verdicts hold for one use only: the key is bound to addresses, or its uses are counted. Those are neither kept nor
//! shared, and a caller who waited for one of another asks again. Such a key is remembered, so that its next caller does not
//! wait for another's question first.
//!
//! A key that the issuer knew when it was last asked about has a lane of its own, so that inventors of keys don't delay
//! it. That only orders questions: whether the key is still good, the issuer says each time.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use doorward_core::{
    clock::Timestamp, denial::Class, digest::Digest, network::Network, principal::Principal, refusal::Refusal,
};
use quick_cache::sync::Cache;
use tokio::{sync::watch, time::Instant};

use crate::verifier::Verified;

use super::{
    turns::{Limits, Source, Turns},
    unavailable,
};

/// The most verdicts of a kind that are kept at a time: about a kilobyte each.
const CAPACITY: usize = 10_000;
/// Questions about keys that were good the last time. Together with the others they stay far below the connections and
/// streams that an issuer allows one address.
const KNOWN: Limits = Limits { running: 32, places: 32, waiting: 2_000 };
/// Questions about all other keys. One address can't use all of what runs at a time.
const OTHERS: Limits = Limits { running: 16, places: 2, waiting: 2_000 };
/// How long a question with a negative verdict keeps the place of its network: invented keys cost nothing, so this limits
/// a network to 500 of them a second.
const PAUSE_AFTER_MISS: Duration = Duration::from_millis(4);
/// The longest that a question waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How far a verdict goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holds {
    /// For every caller with the same credential, for a moment.
    Moment,
    /// For the caller who asked, once.
    OneUse,
}

/// A credential that is good.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) verified: Verified,
    pub(super) holds: Holds,
}

type Answer = Result<Verdict, Refusal>;

/// Whether an answer holds for the one who asked only.
fn is_for_one_use(answer: &Answer) -> bool {
    match answer {
        Ok(verdict) => verdict.holds == Holds::OneUse,
        Err(refusal) => refusal.denial.is_about_one_use(),
    }
}

/// The verdicts, and the questions under way.
#[derive(Clone)]
pub(super) struct VerdictCache(Arc<Inner>);

/// A good verdict that is kept.
#[derive(Clone)]
struct Kept {
    principal: Arc<Principal>,
    at: Timestamp,
    /// How often it was used without a question of which the issuer knows.
    uses: Arc<AtomicU64>,
}

struct Inner {
    lifetime: Duration,
    good: Cache<Digest, Kept>,
    /// Apart from the good ones, so that a flood of invented keys pushes no good one out.
    bad: Cache<Digest, (Refusal, Timestamp)>,
    /// What was good the last time, however long ago, and how far that went.
    known: Cache<Digest, Holds>,
    asked: Mutex<Asked>,
}

struct Asked {
    questions: HashMap<Digest, Question>,
    known: Turns<Waiting>,
    others: Turns<Waiting>,
}

#[derive(Clone, Copy)]
enum Lane {
    Known,
    Others,
}

#[derive(Clone)]
struct Question {
    at: Timestamp,
    answer: watch::Receiver<Option<Answer>>,
}

/// A question that waits for its turn.
struct Waiting {
    digest: Digest,
    at: Timestamp,
    since: Instant,
    give: watch::Sender<Option<Answer>>,
    /// Whether it is in the list of questions, where others find it.
    is_listed: bool,
    ask: Ask,
}

type Ask = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The answer to come.
enum Coming {
    /// To the caller's own question.
    Own(watch::Receiver<Option<Answer>>),
    /// To a question that another caller has asked, and the caller's own one, which is not asked yet.
    Joined(watch::Receiver<Option<Answer>>, Ask),
}

impl Waiting {
    /// Whether every caller who wanted to know has gone. One receiver can be that of the list of questions.
    fn is_abandoned(&self) -> bool {
        self.give.receiver_count() <= usize::from(self.is_listed)
    }
}

impl VerdictCache {
    pub(super) fn new(lifetime: Duration) -> Self {
        let (known, others) = (Turns::new(KNOWN), Turns::new(OTHERS));
        Self(Arc::new(Inner {
            lifetime,
            good: Cache::new(CAPACITY),
            bad: Cache::new(CAPACITY),
            known: Cache::new(CAPACITY),
            asked: Mutex::new(Asked { questions: HashMap::new(), known, others }),
        }))
    }

    /// The verdict about a credential that came from `client`: the one that is kept, or else the answer to `ask`.
    pub(super) async fn find_or(
        &self,
        digest: Digest,
        client: Option<IpAddr>,
        now: Timestamp,
        ask: impl Future<Output = Answer> + Send + 'static,
    ) -> Result<Verified, Refusal> {
        if let Some(Kept { principal, at, uses }) = self.0.good.get(&digest)
            && self.0.is_fresh(at, now)
            && principal.expires_at.is_none_or(|end| now < end)
        {
            uses.fetch_add(1, Ordering::Relaxed);
            return Ok(principal.into());
        }
        if let Some((refusal, at)) = self.0.bad.get(&digest)
            && self.0.is_fresh(at, now)
        {
            return Err(refusal);
        }
        let from = client.map(Network::of);
        let answer = match self.0.question(digest, from, now, Box::pin(ask)) {
            Coming::Own(answer) => given(answer).await,
            Coming::Joined(answer, ask) => match given(answer).await {
                of_another if is_for_one_use(&of_another) => given(self.0.ask_alone(digest, from, now, ask)).await,
                shared => {
                    self.count_uses(&digest, 1);
                    shared
                }
            },
        };
        answer.map(|verdict| verdict.verified)
    }
}

impl VerdictCache {
    /// How often the verdict about a credential was used since this was asked last.
    pub(super) fn take_uses(&self, digest: &Digest) -> u64 {
        self.0.good.get(digest).map_or(0, |kept| kept.uses.swap(0, Ordering::Relaxed))
    }

    /// Counts uses of the verdict that is kept about a credential, if one is.
    pub(super) fn count_uses(&self, digest: &Digest, uses: u64) {
        if let Some(kept) = self.0.good.get(digest) {
            kept.uses.fetch_add(uses, Ordering::Relaxed);
        }
    }
}

async fn given(mut answer: watch::Receiver<Option<Answer>>) -> Answer {
    let given = answer.wait_for(Option::is_some).await.ok().and_then(|given| given.clone());
    given.unwrap_or_else(|| Err(unavailable("the question to the issuer was broken off")))
}

impl Inner {
    /// The answer to the question under way, or else to a new one.
    fn question(self: &Arc<Self>, digest: Digest, from: Source, now: Timestamp, ask: Ask) -> Coming {
        if self.known.get(&digest) == Some(Holds::OneUse) {
            return Coming::Own(self.ask_alone(digest, from, now, ask));
        }
        let mut asked = self.asked();
        if let Some(question) = asked.questions.get(&digest)
            && self.is_fresh(question.at, now)
            && question.answer.has_changed().is_ok()
        {
            return Coming::Joined(question.answer.clone(), ask);
        }
        let (give, answer) = watch::channel(None);
        asked.questions.insert(digest, Question { at: now, answer: answer.clone() });
        let waiting = Waiting { digest, at: now, since: Instant::now(), give, is_listed: true, ask };
        self.push(&mut asked, from, waiting);
        drop(asked);
        self.start_next();
        Coming::Own(answer)
    }

    /// The answer to a question that nobody else joins.
    fn ask_alone(
        self: &Arc<Self>,
        digest: Digest,
        from: Source,
        now: Timestamp,
        ask: Ask,
    ) -> watch::Receiver<Option<Answer>> {
        let (give, answer) = watch::channel(None);
        let waiting = Waiting { digest, at: now, since: Instant::now(), give, is_listed: false, ask };
        self.push(&mut self.asked(), from, waiting);
        self.start_next();
        answer
    }

    fn push(&self, asked: &mut Asked, from: Source, waiting: Waiting) {
        let lane = if self.known.get(&waiting.digest).is_some() { Lane::Known } else { Lane::Others };
        if let Some(given_way) = asked.lane(lane).push(from, waiting) {
            asked.forget(&given_way);
            given_way.give.send_replace(Some(Err(unavailable("too many questions to the issuer wait"))));
        }
    }

    /// Starts the questions whose turn it is, each in a task of its own: a caller who gives up must not take the answer
    /// from the others.
    fn start_next(self: &Arc<Self>) {
        // A runtime that shuts down drops what it is given at once, so nothing may be locked here.
        for (turn, waiting) in self.ready() {
            tokio::spawn(turn.take(waiting));
        }
    }

    /// The questions whose turn it is. Those that nobody waits for any more are skipped.
    fn ready(self: &Arc<Self>) -> Vec<(Turn, Waiting)> {
        let (mut asked, mut ready) = (self.asked(), Vec::new());
        for lane in [Lane::Known, Lane::Others] {
            while let Some((from, waiting)) = asked.lane(lane).next() {
                if waiting.is_abandoned() {
                    asked.forget(&waiting);
                    asked.lane(lane).end();
                    asked.lane(lane).free_place(from);
                    continue;
                }
                ready.push((Turn { inner: self.clone(), lane, from, has_ended: false }, waiting));
            }
        }
        ready
    }

    /// Keeps a verdict; an outage is none. Of one that holds for one use, only that is kept.
    fn keep(&self, digest: Digest, at: Timestamp, answer: &Answer) {
        match answer {
            _ if is_for_one_use(answer) => {
                self.good.remove(&digest);
                self.bad.remove(&digest);
                self.known.insert(digest, Holds::OneUse);
            }
            Ok(verdict) => {
                self.bad.remove(&digest);
                self.known.insert(digest, Holds::Moment);
                let uses = self.good.get(&digest).map(|kept| kept.uses).unwrap_or_default();
                self.good.insert(digest, Kept { principal: verdict.verified.principal.clone(), at, uses });
            }
            Err(refusal) => {
                if is_miss(refusal) {
                    self.good.remove(&digest);
                    self.known.remove(&digest);
                    self.bad.insert(digest, (refusal.clone(), at));
                }
            }
        }
    }

    /// Also not fresh is what lies ahead: a clock that was set back must not lengthen a verdict's life.
    fn is_fresh(&self, at: Timestamp, now: Timestamp) -> bool {
        at <= now && now.since(at) < self.lifetime
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn lane(&mut self, lane: Lane) -> &mut Turns<Waiting> {
        match lane {
            Lane::Known => &mut self.known,
            Lane::Others => &mut self.others,
        }
    }

    /// Takes a question off the list, unless a later one about the same credential replaced it.
    fn forget(&mut self, waiting: &Waiting) {
        let is_this = |question: &Question| question.answer.same_channel(&waiting.give.subscribe());
        if self.questions.get(&waiting.digest).is_some_and(is_this) {
            self.questions.remove(&waiting.digest);
        }
    }
}

/// Whether the issuer refused the credential itself.
fn is_miss(refusal: &Refusal) -> bool {
    refusal.denial.class() != Class::Outage && !refusal.denial.is_about_one_use()
}

/// The turn of a question.
struct Turn {
    inner: Arc<Inner>,
    lane: Lane,
    from: Source,
    has_ended: bool,
}

impl Turn {
    async fn take(mut self, mut waiting: Waiting) {
        let answer = match waiting.since.elapsed() > LONGEST_WAIT {
            true => Err(unavailable("the question to the issuer did not get its turn in time")),
            false => waiting.ask.as_mut().await,
        };
        self.inner.keep(waiting.digest, waiting.at, &answer);
        let keeps_place = self.from.is_some() && answer.as_ref().is_err_and(is_miss);
        self.inner.asked().forget(&waiting);
        waiting.give.send_replace(Some(answer));
        if keeps_place {
            self.end();
            self.inner.start_next();
            tokio::time::sleep(PAUSE_AFTER_MISS).await;
        }
        let inner = self.inner.clone();
        drop(self);
        inner.start_next();
    }

    /// The question has ended, and others may be asked.
    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.inner.asked().lane(self.lane).end();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end();
        self.inner.asked().lane(self.lane).free_place(self.from);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use doorward_core::{
        api::ResourceIdentifier,
        denial::Denial,
        principal::{CredentialKind, PrincipalKind},
    };
    use tokio::sync::Notify;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const LIFETIME: Duration = Duration::from_millis(500);
    const STRANGER: [IpAddr; 2] =
        [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2))];
    const HONEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    /// A verdict for every caller with the credential.
    fn principal() -> Verdict {
        let principal = Arc::new(Principal {
            kind: PrincipalKind::Key,
            subject: "key_1".into(),
            client_id: None,
            owner: None,
            name: None,
            credential: CredentialKind::ApiKey,
            credential_id: None,
            grant_id: None,
            audience: ResourceIdentifier::parse("https://api.example").unwrap(),
            scopes: Default::default(),
            roles: Default::default(),
            expires_at: None,
            claims: Default::default(),
        });
        Verdict { verified: principal.into(), holds: Holds::Moment }
    }

    fn for_one_use() -> Verdict {
        Verdict { holds: Holds::OneUse, ..principal() }
    }

    type Given = Result<Verified, Refusal>;

    fn digest(name: impl ToString) -> Digest {
        Digest::sha256(name.to_string().as_bytes())
    }

    /// An issuer that answers on request, and counts the questions.
    #[derive(Clone, Default)]
    struct Issuer {
        asked: Arc<AtomicUsize>,
        answers: Arc<Notify>,
    }

    impl Issuer {
        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn answer(&self, answer: Answer) -> impl Future<Output = Answer> + Send + 'static {
            let issuer = self.clone();
            async move {
                issuer.asked.fetch_add(1, Ordering::SeqCst);
                issuer.answers.notified().await;
                answer
            }
        }

        /// Two callers ask about so many invented keys each, and wait.
        fn flood(&self, verdicts: &Arc<VerdictCache>, count: usize) -> Vec<tokio::task::JoinHandle<Given>> {
            let each = (0..2 * count).map(|n| {
                let (verdicts, ask) = (verdicts.clone(), self.answer(Err(Denial::KeyUnknown.into())));
                let from = STRANGER[n % 2];
                tokio::spawn(async move { verdicts.find_or(digest(n), Some(from), NOW, ask).await })
            });
            each.collect()
        }
    }

    /// Lets all tasks go as far as they can.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    async fn now(answer: Answer) -> Answer {
        answer
    }

    #[tokio::test]
    async fn honest_callers_do_not_wait_behind_invented_keys() {
        let (verdicts, issuer) = (Arc::new(VerdictCache::new(LIFETIME)), Issuer::default());
        verdicts.find_or(digest("known"), Some(HONEST), NOW, now(Ok(principal()))).await.unwrap();
        let flood = issuer.flood(&verdicts, 250);
        settle().await;
        assert_eq!(issuer.asked(), 4, "two questions of each caller are under way, and 496 wait");
        // Neither the known key, whose verdict is too old to be used, nor one that is seen for the first time waits.
        let later = NOW.plus(LIFETIME);
        verdicts.find_or(digest("known"), Some(HONEST), later, now(Ok(principal()))).await.unwrap();
        verdicts.find_or(digest("new"), Some(HONEST), later, now(Ok(principal()))).await.unwrap();
        // Also not from the address of a flooding caller.
        verdicts.find_or(digest("known"), Some(STRANGER[0]), later.plus(LIFETIME), now(Ok(principal()))).await.unwrap();
        assert_eq!(issuer.asked(), 4);
        flood.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(start_paused = true)]
    async fn pace_of_invented_keys_is_limited_and_each_is_answered() {
        let (verdicts, issuer) = (Arc::new(VerdictCache::new(LIFETIME)), Issuer::default());
        let flood = issuer.flood(&verdicts, 10);
        settle().await;
        for round in 1..=5 {
            assert_eq!(issuer.asked(), round * 4);
            issuer.answers.notify_waiters();
            settle().await;
            assert_eq!(issuer.asked(), round * 4, "the places are kept for a pause");
            tokio::time::advance(PAUSE_AFTER_MISS).await;
            settle().await;
        }
        for answer in flood {
            assert_eq!(answer.await.unwrap().unwrap_err().denial, Denial::KeyUnknown);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn question_that_nobody_waits_for_any_more_is_not_asked() {
        let (verdicts, issuer) = (Arc::new(VerdictCache::new(LIFETIME)), Issuer::default());
        let flood = issuer.flood(&verdicts, 10);
        settle().await;
        for caller in flood {
            caller.abort();
            let _ = caller.await;
        }
        issuer.answers.notify_waiters();
        settle().await;
        verdicts.find_or(digest("new"), Some(HONEST), NOW, now(Ok(principal()))).await.unwrap();
        tokio::time::advance(PAUSE_AFTER_MISS).await;
        settle().await;
        assert_eq!(issuer.asked(), 4, "those that were under way when their callers left");
        assert!(verdicts.0.asked().questions.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn question_whose_turn_does_not_come_in_time_is_an_outage() {
        let (verdicts, issuer) = (Arc::new(VerdictCache::new(LIFETIME)), Issuer::default());
        let flood = issuer.flood(&verdicts, 3);
        settle().await;
        tokio::time::advance(LONGEST_WAIT + Duration::from_millis(1)).await;
        issuer.answers.notify_waiters();
        let mut outages = 0;
        for answer in flood {
            let denial = answer.await.unwrap().unwrap_err().denial;
            outages += usize::from(denial == Denial::VerifierUnavailable);
        }
        assert_eq!((issuer.asked(), outages), (4, 2));
    }

    #[tokio::test]
    async fn negative_verdict_is_kept_for_half_a_second_outage_is_not() {
        let verdicts = VerdictCache::new(LIFETIME);
        let find = async |at, answer| verdicts.find_or(digest("key"), Some(HONEST), at, now(answer)).await;
        assert!(find(NOW, Err(unavailable("away"))).await.is_err());
        assert!(find(NOW, Err(Denial::KeyUnknown.into())).await.is_err());
        let last = NOW.plus(LIFETIME).minus(Duration::from_millis(1));
        assert_eq!(find(last, Ok(principal())).await.unwrap_err().denial, Denial::KeyUnknown);
        assert!(find(NOW.plus(LIFETIME), Ok(principal())).await.is_ok());
        let back = NOW.minus(Duration::from_secs(60));
        assert!(find(back, Err(Denial::KeyUnknown.into())).await.is_err(), "a clock that was set back asks again");
    }

    #[tokio::test]
    async fn verdict_for_one_use_is_neither_kept_nor_shared() {
        for answer in [Ok(for_one_use()), Err(Denial::KeyAddressNotAllowed.into())] {
            let (verdicts, issuer) = (Arc::new(VerdictCache::new(LIFETIME)), Issuer::default());
            let find = |client| {
                let (verdicts, ask) = (verdicts.clone(), issuer.answer(answer.clone()));
                tokio::spawn(async move { verdicts.find_or(digest("key"), Some(client), NOW, ask).await })
            };
            let callers = [find(HONEST), find(STRANGER[0]), find(STRANGER[1])];
            settle().await;
            assert_eq!(issuer.asked(), 1, "nobody knows yet that this key must be asked about each time");
            issuer.answers.notify_waiters();
            settle().await;
            assert_eq!(issuer.asked(), 3, "those who joined ask by themselves");
            issuer.answers.notify_waiters();
            for caller in callers {
                assert_eq!(caller.await.unwrap().map(|_| ()), answer.clone().map(|_| ()));
            }
            let callers = [find(HONEST), find(STRANGER[0])];
            settle().await;
            assert_eq!(issuer.asked(), 5, "nobody waits for another's question any more");
            issuer.answers.notify_waiters();
            for caller in callers {
                assert_eq!(caller.await.unwrap().map(|_| ()), answer.clone().map(|_| ()));
            }
            assert!(verdicts.0.asked().questions.is_empty());
        }
    }

    #[tokio::test]
    async fn uses_of_a_kept_verdict_are_counted_until_they_are_taken() {
        let (verdicts, issuer) = (VerdictCache::new(LIFETIME), Issuer::default());
        let find = |ask| {
            let verdicts = verdicts.clone();
            tokio::spawn(async move { verdicts.find_or(digest("key"), Some(HONEST), NOW, ask).await })
        };
        let callers = [(); 3].map(|()| find(issuer.answer(Ok(principal()))));
        settle().await;
        issuer.answers.notify_waiters();
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        assert_eq!(verdicts.take_uses(&digest("key")), 2, "of three, one asked");
        for _ in 0..5 {
            find(issuer.answer(Ok(principal()))).await.unwrap().unwrap();
        }
        let later = NOW.plus(LIFETIME);
        let away = verdicts.find_or(digest("key"), Some(HONEST), later, now(Err(unavailable("away")))).await;
        assert!(away.is_err());
        verdicts.find_or(digest("key"), Some(HONEST), later, now(Ok(principal()))).await.unwrap();
        assert_eq!(verdicts.take_uses(&digest("key")), 5, "an outage and a new verdict lose none");
        assert_eq!(verdicts.take_uses(&digest("key")), 0);
    }

    #[tokio::test]
    async fn limit_ends_a_kept_verdict_and_its_end_begins_one() {
        let verdicts = VerdictCache::new(LIFETIME);
        let find = async |at, answer| verdicts.find_or(digest("key"), Some(HONEST), at, now(answer)).await;
        find(NOW, Ok(principal())).await.unwrap();
        find(NOW.plus(LIFETIME), Ok(for_one_use())).await.unwrap();
        let refused = find(NOW.plus(LIFETIME), Err(Denial::KeyAddressNotAllowed.into())).await;
        assert_eq!(refused.unwrap_err().denial, Denial::KeyAddressNotAllowed);
        find(NOW.plus(LIFETIME), Ok(principal())).await.unwrap();
        let kept = find(NOW.plus(LIFETIME), Err(Denial::KeyAddressNotAllowed.into())).await;
        assert!(kept.is_ok(), "the key has no limit any more");
    }

    #[tokio::test(start_paused = true)]
    async fn question_for_one_use_is_dropped_with_its_caller() {
        let (verdicts, issuer) = (Arc::new(VerdictCache::new(LIFETIME)), Issuer::default());
        verdicts.find_or(digest("key"), Some(HONEST), NOW, now(Ok(for_one_use()))).await.unwrap();
        let callers: Vec<_> = (0..KNOWN.running + 5)
            .map(|_| {
                let (verdicts, ask) = (verdicts.clone(), issuer.answer(Ok(for_one_use())));
                tokio::spawn(async move { verdicts.find_or(digest("key"), Some(HONEST), NOW, ask).await })
            })
            .collect();
        settle().await;
        assert_eq!(issuer.asked(), KNOWN.running);
        for caller in callers {
            caller.abort();
            let _ = caller.await;
        }
        issuer.answers.notify_waiters();
        settle().await;
        assert_eq!(issuer.asked(), KNOWN.running, "the five whose callers left are not asked");
    }

    #[tokio::test]
    async fn question_that_panics_leaves_the_way_free() {
        let verdicts = VerdictCache::new(LIFETIME);
        for n in 0..2 * OTHERS.running {
            let panics = async { panic!("as this test wants it") };
            let answer = verdicts.find_or(digest(n), Some(HONEST), NOW, panics).await;
            assert_eq!(answer.unwrap_err().denial, Denial::VerifierUnavailable);
        }
    }
}
