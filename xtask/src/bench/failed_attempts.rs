//! Whether the clock tells an unknown name from a wrong password, and an unknown client from a wrong secret.
//!
//! The tests count the work; this is the time, beside each other in one run. Easy to get wrong: five failures of a name
//! and twenty of a minute's clients are answered at full cost, and what is throttled comes back at once. So each name
//! fails once, and an answer of another status ends the run.

use std::time::{Duration, Instant};

use super::browser::Browser;
use super::report::median;
use super::scene::{self, Scene};
use crate::failure::Failure;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FailedAttempts {
    /// A sign-in with a name that nobody has, and with a wrong password.
    pub(super) sign_in: Pair,
    /// `/token` with a client that nobody registered, and with a wrong secret.
    pub(super) token: Pair,
}

/// Medians of two kinds of failure, measured in turns, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) unknown_ms: f64,
    pub(super) wrong_ms: f64,
}

impl FailedAttempts {
    pub(super) fn measure(scene: &Scene) -> Result<Self, Failure> {
        for nth in 0..=ATTEMPTS {
            scene.create_user(&known_name(nth), PASSWORD)?;
        }
        let server = scene.start()?;
        let port = scene.port()?;
        let sign_in = |name: &str| Browser::new(port, name, "this-is-not-the-password").fail_to_sign_in();
        let sign_in = Pair::measure(|nth| sign_in(&format!("unknown-{nth}")), |nth| sign_in(&known_name(nth)))?;
        let known_client = scene.client_id()?;
        let token = |client_id: &str| {
            let request = scene::token(port, client_id, "dw_cs_this-is-not-the-secret", "notes:read");
            let start = Instant::now();
            let answer = request.send()?;
            let time = start.elapsed();
            match answer.status {
                401 => Ok(time),
                status => {
                    let detail = format!("{status} {}", answer.body);
                    Err(Failure::Command { line: format!("{request} with a wrong secret"), detail })
                }
            }
        };
        // The form of an id that could be: another text is nobody's without a look-up.
        let token = Pair::measure(|nth| token(&format!("cli_{nth:032x}")), |_| token(known_client))?;
        server.stop()?;
        Ok(Self { sign_in, token })
    }
}

impl Pair {
    /// Each takes the number of the attempt and gives its time. The first of each warms up and does not count.
    fn measure(
        unknown: impl Fn(usize) -> Result<Duration, Failure>,
        wrong: impl Fn(usize) -> Result<Duration, Failure>,
    ) -> Result<Self, Failure> {
        let times = (0..=ATTEMPTS).map(|nth| Ok((unknown(nth)?, wrong(nth)?))).collect::<Result<Vec<_>, Failure>>()?;
        let ms = |of: fn(&(Duration, Duration)) -> Duration| {
            median(times[1..].iter().map(|times| of(times).as_secs_f64() * 1e3)).expect("there were attempts")
        };
        Ok(Self { unknown_ms: ms(|times| times.0), wrong_ms: ms(|times| times.1) })
    }

    /// How many times as long the unknown one takes.
    pub(super) fn ratio(self) -> f64 {
        self.unknown_ms / self.wrong_ms
    }
}

/// With the one that warms up, twenty failures at `/token` in a minute: as many as are free.
const ATTEMPTS: usize = 9;
const PASSWORD: &str = "a-password-of-the-bench";

fn known_name(nth: usize) -> String {
    format!("known-{nth}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_does_not_count_and_both_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let time = |kind: &'static str, ms: u64, nth: usize| {
            order.borrow_mut().push(kind);
            Ok(Duration::from_millis(if nth == 0 { 1_000 } else { ms }))
        };

        let pair = Pair::measure(|nth| time("unknown", 30, nth), |nth| time("wrong", 20, nth)).unwrap();

        assert_eq!((pair.unknown_ms, pair.wrong_ms, pair.ratio()), (30.0, 20.0, 1.5));
        assert!(order.borrow().chunks(2).all(|turn| turn == ["unknown", "wrong"]));
    }
}
