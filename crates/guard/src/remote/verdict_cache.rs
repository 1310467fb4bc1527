//! What the issuer said about API keys and opaque tokens: a yes is kept for a moment, a no is not kept, and callers
//! with the same credential share one question.
//!
//! The age of a verdict counts from when it was asked, not from when the answer came, and nobody joins a question that
//! is older than a verdict may be: otherwise a slow answer would stretch the time in which a revoked key still works.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::{clock::Timestamp, digest::Digest, principal::Principal, refusal::Refusal};
use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::unavailable;

/// The most verdicts that are kept at a time.
const CAPACITY: usize = 10_000;
/// The most questions under way: a flood of invented keys must not become a flood at the issuer.
const MAX_ASKED: usize = 1_000;

type Answer = Result<Arc<Principal>, Refusal>;

/// VerdictCache and the questions under way.
pub(super) struct VerdictCache(Arc<Inner>);

struct Inner {
    lifetime: Duration,
    kept: Cache<Digest, (Arc<Principal>, Timestamp)>,
    asked: Mutex<HashMap<Digest, Question>>,
}

#[derive(Clone)]
struct Question {
    at: Timestamp,
    answer: watch::Receiver<Option<Answer>>,
}

impl VerdictCache {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self(Arc::new(Inner { lifetime, kept: Cache::new(CAPACITY), asked: Mutex::default() }))
    }

    /// The verdict about a credential: the one that is kept, or else the answer to `ask`.
    pub(super) async fn find_or(
        &self,
        digest: Digest,
        now: Timestamp,
        ask: impl Future<Output = Answer> + Send + 'static,
    ) -> Answer {
        if let Some((principal, at)) = self.0.kept.get(&digest)
            && self.0.is_fresh(at, now)
            && principal.expires_at.is_none_or(|end| now < end)
        {
            return Ok(principal);
        }
        let question = self.0.clone().question(digest, now, ask);
        let mut answer = question.ok_or_else(|| unavailable("too many questions to the issuer are under way"))?.answer;
        let given = answer.wait_for(Option::is_some).await.ok().and_then(|given| given.clone());
        given.unwrap_or_else(|| Err(unavailable("the question to the issuer was broken off")))
    }
}

impl Inner {
    /// The question under way, or else a new one, in a task of its own: a caller who gives up must not take the answer
    /// from the others. `None`: too many are under way.
    fn question(
        self: Arc<Self>,
        digest: Digest,
        now: Timestamp,
        ask: impl Future<Output = Answer> + Send + 'static,
    ) -> Option<Question> {
        let mut asked = self.asked();
        if let Some(question) = asked.get(&digest)
            && self.is_fresh(question.at, now)
            && question.answer.has_changed().is_ok()
        {
            return Some(question.clone());
        }
        if asked.len() >= MAX_ASKED {
            return None;
        }
        let (give, answer) = watch::channel(None);
        let question = Question { at: now, answer };
        asked.insert(digest, question.clone());
        drop(asked);
        tokio::spawn(async move {
            let answer = ask.await;
            match &answer {
                Ok(principal) => self.kept.insert(digest, (principal.clone(), now)),
                Err(_) => drop(self.kept.remove(&digest)),
            }
            let mut asked = self.asked();
            if asked.get(&digest).is_some_and(|question| question.answer.same_channel(&give.subscribe())) {
                asked.remove(&digest);
            }
            give.send_replace(Some(answer));
        });
        Some(question)
    }

    /// Also not fresh is what lies ahead: a clock that was set back must not lengthen a verdict's life.
    fn is_fresh(&self, at: Timestamp, now: Timestamp) -> bool {
        at <= now && now.since(at) < self.lifetime
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Digest, Question>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
