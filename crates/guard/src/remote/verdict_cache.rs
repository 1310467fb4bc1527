//! What the issuer said about API keys and opaque tokens: each verdict is kept for a moment, callers with the same
//! credential share one question, and questions take turns by the callers' networks.
//!
//! The age of a verdict counts from when it was asked, not from when the answer came, and nobody joins a question that
//! is older than a verdict may be: otherwise a slow answer would stretch the time in which a revoked key still works.
//!
//! A key that the issuer knew when it was last asked about has a lane of its own, so that inventors of keys don't delay
//! it. That only orders questions: whether the key is still good, the issuer says each time.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::{
    clock::Timestamp, denial::Class, digest::Digest, network::Network, principal::Principal, refusal::Refusal,
};
use quick_cache::sync::Cache;
use tokio::{sync::watch, time::Instant};

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

type Answer = Result<Arc<Principal>, Refusal>;

/// The verdicts, and the questions under way.
pub(super) struct VerdictCache(Arc<Inner>);

struct Inner {
    lifetime: Duration,
    good: Cache<Digest, (Arc<Principal>, Timestamp)>,
    /// Apart from the good ones, so that a flood of invented keys pushes no good one out.
    bad: Cache<Digest, (Refusal, Timestamp)>,
    /// What was good the last time, however long ago.
    known: Cache<Digest, ()>,
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
    ask: Pin<Box<dyn Future<Output = Answer> + Send>>,
}

impl Waiting {
    /// Whether every caller who wanted to know has gone. One receiver is that of the list of questions.
    fn is_abandoned(&self) -> bool {
        self.give.receiver_count() <= 1
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
    ) -> Answer {
        if let Some((principal, at)) = self.0.good.get(&digest)
            && self.0.is_fresh(at, now)
            && principal.expires_at.is_none_or(|end| now < end)
        {
            return Ok(principal);
        }
        if let Some((refusal, at)) = self.0.bad.get(&digest)
            && self.0.is_fresh(at, now)
        {
            return Err(refusal);
        }
        let mut answer = self.0.question(digest, client.map(Network::of), now, ask);
        let given = answer.wait_for(Option::is_some).await.ok().and_then(|given| given.clone());
        given.unwrap_or_else(|| Err(unavailable("the question to the issuer was broken off")))
    }
}

impl Inner {
    /// The answer to the question under way, or else to a new one.
    fn question(
        self: &Arc<Self>,
        digest: Digest,
        from: Source,
        now: Timestamp,
        ask: impl Future<Output = Answer> + Send + 'static,
    ) -> watch::Receiver<Option<Answer>> {
        let mut asked = self.asked();
        if let Some(question) = asked.questions.get(&digest)
            && self.is_fresh(question.at, now)
            && question.answer.has_changed().is_ok()
        {
            return question.answer.clone();
        }
        let (give, answer) = watch::channel(None);
        asked.questions.insert(digest, Question { at: now, answer: answer.clone() });
        let waiting = Waiting { digest, at: now, since: Instant::now(), give, ask: Box::pin(ask) };
        let lane = if self.known.get(&digest).is_some() { Lane::Known } else { Lane::Others };
        if let Some(given_way) = asked.lane(lane).push(from, waiting) {
            asked.forget(&given_way);
            given_way.give.send_replace(Some(Err(unavailable("too many questions to the issuer wait"))));
        }
        drop(asked);
        self.start_next();
        answer
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

    /// Keeps a verdict; an outage is none.
    fn keep(&self, digest: Digest, at: Timestamp, answer: &Answer) {
        match answer {
            Ok(principal) => {
                self.bad.remove(&digest);
                self.known.insert(digest, ());
                self.good.insert(digest, (principal.clone(), at));
            }
            Err(refusal) => {
                self.good.remove(&digest);
                if is_miss(refusal) {
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
    refusal.denial.class() != Class::Outage
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
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    fn principal() -> Arc<Principal> {
        Arc::new(Principal {
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
        })
    }

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
        fn flood(&self, verdicts: &Arc<VerdictCache>, count: usize) -> Vec<tokio::task::JoinHandle<Answer>> {
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
    async fn question_that_panics_leaves_the_way_free() {
        let verdicts = VerdictCache::new(LIFETIME);
        for n in 0..2 * OTHERS.running {
            let panics = async { panic!("as this test wants it") };
            let answer = verdicts.find_or(digest(n), Some(HONEST), NOW, panics).await;
            assert_eq!(answer.unwrap_err().denial, Denial::VerifierUnavailable);
        }
    }
}
