//! How soon a running API refuses a key that the command line revoked.
//!
//! Easy to get wrong: an API that has not seen the key lately has nothing to forget. So the key is used without a pause
//! before, during and after the command, and the guard's verdict is as young as possible.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, de::IgnoredAny};

use super::http::{self, Request};
use super::report::{Section, median, target, thousands};
use super::scene::Scene;

pub(super) fn measure(scene: &Scene) -> Result<Section> {
    let server = scene.start()?;
    let times = (1..=KEYS).map(|nth| measure_one(scene, nth)).collect::<Result<Vec<_>>>()?;
    server.stop()?;
    let most_ms = times.iter().copied().fold(0.0, f64::max);
    let median_ms = median(times).expect("there were keys");
    let measured = format!("{} ms", thousands(median_ms));
    Ok(Section {
        header: include_str!("revocation.md"),
        rows: vec![format!("{} | {}", thousands(median_ms), thousands(most_ms))],
        targets: vec![target("a revoked key is refused within 1,000 ms", measured, median_ms < 1_000.0)],
    })
}

/// Milliseconds from the end of the command to the first refusal. 0 if the refusal came first.
fn measure_one(scene: &Scene, nth: usize) -> Result<f64> {
    #[derive(Deserialize)]
    struct Key {
        id: String,
        secret: String,
    }
    let Key { id, secret } =
        scene.command(&format!("key create --name revoked-{nth} --api notes --scope notes:read"), "")?;
    let request = scene.notes("X-API-Key", &secret)?;
    http::succeed::<IgnoredAny>(&request)?;
    thread::scope(|scope| {
        let revoke = || scene.command::<IgnoredAny>(&format!("key revoke {id}"), "").map(|_| Instant::now());
        let revocation = scope.spawn(revoke);
        let refused = first_refusal(&request);
        // Why the command failed says more than that nothing was refused.
        let ended = revocation.join().expect("a command that fails is an error and no panic")?;
        Ok(refused?.saturating_duration_since(ended).as_secs_f64() * 1e3)
    })
}

fn first_refusal(request: &Request) -> Result<Instant> {
    let start = Instant::now();
    loop {
        let answer = http::send(request)?;
        match answer.status().as_u16() {
            401 => return Ok(Instant::now()),
            200 if start.elapsed() < LIMIT => {}
            _ => bail!("a revoked key was answered after {:.1?} {answer:?}", start.elapsed()),
        }
    }
}

const KEYS: usize = 7;
const LIMIT: Duration = Duration::from_secs(60);
