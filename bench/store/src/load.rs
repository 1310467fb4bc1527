//! Requests from several callers at once: as fast as the server answers, or at a pace.
//!
//! Easy to get wrong: a caller at a pace that waits for a late answer would skip the requests that were due meanwhile. So
//! a request's time counts from when it was due.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    caller::{Caller, Target},
    site::Server,
};

/// How long requests took, sorted.
#[derive(Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Milliseconds that this share of the requests took at most.
    pub(crate) fn ms(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small count")]
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// Nanoseconds of the median and of the 99th percentile.
    pub(crate) fn quantiles(&self) -> Quantiles {
        Quantiles { p50_ns: self.ms(0.5) * 1e6, p99_ns: self.ms(0.99) * 1e6 }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those of several measurements.
    pub(crate) fn all(several: Vec<Self>) -> Self {
        Self::new(several.into_iter().flat_map(|times| times.0).collect())
    }

    pub(crate) fn and(self, others: Self) -> Self {
        Self::new([self.0, others.0].concat())
    }
}

/// Nanoseconds that half of the requests took at most, and 99 of 100.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
}

/// Sends each body once, as fast as they are answered. Returns how many a second were.
pub(crate) async fn send_each(server: &Server, target: &Target, bodies: Vec<String>) -> Result<f64> {
    let (count, start) = (bodies.len(), Instant::now());
    answers_of_each(server.port(), target, bodies).await?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Sends each body once, as fast as they are answered. Returns the answers in no order.
pub(crate) async fn answers_of_each(port: u16, target: &Target, bodies: Vec<String>) -> Result<Vec<Vec<u8>>> {
    let mut answers = Vec::with_capacity(bodies.len());
    let bodies = Arc::new(Mutex::new(VecDeque::from(bodies)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (mut caller, target, bodies) = (Caller::new(port), target.clone(), bodies.clone());
        callers.spawn(async move {
            let mut answers = Vec::new();
            while let Some(body) = take(&bodies) {
                answers.push(caller.succeed(&target, &body).await?);
            }
            Ok::<_, anyhow::Error>(answers)
        });
    }
    while let Some(caller) = callers.join_next().await {
        answers.extend(caller??);
    }
    Ok(answers)
}

/// Refreshes so many times as fast as that is answered. Tokens are taken from the front, and their successors come to
/// the back. Returns how many a second were.
pub(crate) async fn refresh_each(
    server: &Server,
    target: &Target,
    tokens: &Arc<Mutex<VecDeque<String>>>,
    count: usize,
) -> Result<f64> {
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for nth in 0..CALLERS {
        let (mut caller, target, tokens) = (server.caller(), target.clone(), tokens.clone());
        callers.spawn(async move {
            for _ in (nth..count).step_by(CALLERS) {
                let token = take(&tokens).context("there are fewer tokens than callers")?;
                let answer = caller.succeed(&target, &refresh(&token)).await?;
                let successor = self::tokens(&answer)?.refresh_token;
                tokens.lock().unwrap_or_else(PoisonError::into_inner).push_back(successor);
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn take(queue: &Mutex<VecDeque<String>>) -> Option<String> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// As `xtask bench` loads a refresh.
const CALLERS: usize = 64;

/// What is sent to refresh.
pub(crate) fn refresh(token: &str) -> String {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The tokens of an answer.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

pub(crate) fn tokens(body: &[u8]) -> Result<Tokens> {
    serde_json::from_slice(body).context("no tokens were answered")
}

/// Callers that refresh at a pace until they are stopped.
pub(crate) struct Others {
    callers: JoinSet<Result<(Vec<Duration>, String)>>,
    end: Arc<AtomicBool>,
}

impl Others {
    /// One caller for each token.
    pub(crate) fn start(server: &Server, target: &Target, tokens: Vec<String>) -> Self {
        let (mut callers, end) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for (nth, mut token) in (0_u32..).zip(tokens) {
            let (mut caller, target, end) = (server.caller(), target.clone(), end.clone());
            callers.spawn(async move {
                // All at once would be a load of another kind.
                let (mut due, mut times) = (Instant::now() + PACE * nth / 16, Vec::new());
                while !end.load(Ordering::Relaxed) {
                    tokio::time::sleep_until(due.into()).await;
                    let answer = caller.succeed(&target, &refresh(&token)).await?;
                    times.push(due.elapsed());
                    token = self::tokens(&answer)?.refresh_token;
                    due += PACE;
                }
                Ok((times, token))
            });
        }
        Self { callers, end }
    }

    /// Ends them. Gives how long they waited, and their tokens.
    pub(crate) async fn end(mut self) -> Result<(Times, Vec<String>)> {
        self.end.store(true, Ordering::Relaxed);
        let (mut times, mut tokens) = (Vec::new(), Vec::new());
        while let Some(of_caller) = self.callers.join_next().await {
            let (of_caller, token) = of_caller??;
            times.extend(of_caller);
            tokens.push(token);
        }
        Ok((Times::new(times), tokens))
    }
}

/// How often each of the others refreshes: with sixteen of them, 400 times a second.
const PACE: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times = Times::new((0..1_000).rev().map(Duration::from_nanos).collect());
        let Quantiles { p50_ns, p99_ns } = times.quantiles();
        assert!((p50_ns - 500.0).abs() < 1e-6 && (p99_ns - 990.0).abs() < 1e-6, "{p50_ns} {p99_ns}");
        assert!(Times::default().quantiles().p99_ns.is_nan());
    }
}
