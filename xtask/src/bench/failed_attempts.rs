//! Whether the time of an answer distinguishes an unknown name from a wrong password, and an unknown client from a wrong
//! secret.
//!
//! The tests count the work; this measures the time, both in one run. Easy to get wrong: five failures of a name and
//! twenty of a minute's clients are answered at full cost, and what is throttled comes back at once. So each name fails
//! once, and an answer of another status ends the run.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::de::IgnoredAny;

use super::browser::Browser;
use super::http;
use super::report::{Section, median};
use super::scene::{Client, Scene};

pub(super) fn measure(scene: &Scene) -> Result<Section> {
    let known_name = |nth| format!("known-{nth}");
    for nth in 0..=ATTEMPTS {
        scene.command::<IgnoredAny>(&format!("user create {}", known_name(nth)), "a-password-of-the-bench")?;
    }
    let server = scene.start()?;
    let sign_in = |name: &str| Browser::new(scene.port, name, "this-is-not-the-password").fail_to_sign_in();
    let token = |client_id: &str| {
        let client_secret = "dw_cs_this-is-not-the-secret".to_owned();
        let request = Client { client_id: client_id.to_owned(), client_secret }.token(scene.port, "notes:read")?;
        let start = Instant::now();
        let answer = http::send(&request)?;
        let time = start.elapsed();
        ensure!(answer.status() == 401, "a wrong client secret was answered {answer:?}");
        Ok(time)
    };
    let sign_in = in_turns(|nth| sign_in(&format!("unknown-{nth}")), |nth| sign_in(&known_name(nth)))?;
    // The form of an id that could exist: other text is refused without a look-up.
    let token = in_turns(|nth| token(&format!("cli_{nth:032x}")), |_| token(&scene.demo.client.client_id))?;
    server.stop()?;
    let row = |attempt, [unknown, wrong]: [f64; 2]| {
        let ratio = unknown / wrong;
        format!("{attempt} | {unknown:.2} | {wrong:.2} | {ratio:.2}")
    };
    let rows = [
        row("sign-in: a name that nobody has, a wrong password", sign_in),
        row("`/token`: a client that nobody registered, a wrong secret", token),
    ];
    let header = include_str!("failed_attempts.md");
    Ok(Section { header, rows: rows.to_vec(), targets: Vec::new() })
}

/// The medians of two kinds of attempts in milliseconds. Each takes the number of the attempt and returns its time. The
/// first of each warms up and does not count.
fn in_turns(one: impl Fn(usize) -> Result<Duration>, other: impl Fn(usize) -> Result<Duration>) -> Result<[f64; 2]> {
    let times = (0..=ATTEMPTS).map(|nth| Ok([one(nth)?, other(nth)?])).collect::<Result<Vec<_>>>()?;
    let ms = |of: usize| median(times[1..].iter().map(|times| times[of].as_secs_f64() * 1e3));
    Ok([0, 1].map(|of| ms(of).expect("there were attempts")))
}

/// With the one that warms up, twenty failures at `/token` in a minute: as many as are free.
const ATTEMPTS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_attempts_do_not_count_and_both_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let time = |ms: u64, nth: usize| {
            order.borrow_mut().push(ms);
            Ok(Duration::from_millis(if nth == 0 { 1_000 } else { ms }))
        };

        assert_eq!(in_turns(|nth| time(30, nth), |nth| time(20, nth)).unwrap(), [30.0, 20.0]);
        assert!(order.borrow().chunks(2).all(|turn| turn == [30, 20]));
    }
}
