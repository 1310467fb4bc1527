//! How soon a running API refuses a key that the command line revoked.
//!
//! Easy to get wrong: an API that has not seen the key lately has nothing to forget. So the key is used without a pause
//! before the command, during it and after it, and the guard's verdict is as young as it can be.

use std::thread;
use std::time::{Duration, Instant};

use super::http::Request;
use super::report::median;
use super::scene::{Scene, text};
use crate::failure::Failure;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Revocation {
    /// From the end of `doorward key revoke` to the first refusal, in milliseconds: the median of the keys. 0 where the
    /// refusal came first.
    pub(super) median_ms: f64,
    /// The same of the slowest.
    pub(super) most_ms: f64,
}

impl Revocation {
    pub(super) fn measure(scene: &Scene) -> Result<Self, Failure> {
        let server = scene.start()?;
        let times = (1..=KEYS).map(|nth| measure_one(scene, nth)).collect::<Result<Vec<_>, _>>()?;
        server.stop()?;
        let most_ms = times.iter().copied().fold(0.0, f64::max);
        Ok(Self { median_ms: median(times).expect("there were keys"), most_ms })
    }
}

fn measure_one(scene: &Scene, nth: usize) -> Result<f64, Failure> {
    let created = scene.command(&format!("key create --name revoked-{nth} --api notes --scope notes:read"))?;
    let (id, key) = (text(&created, "id")?, text(&created, "key")?);
    let request = scene.notes()?.header("X-API-Key", key);
    request.succeed()?;
    thread::scope(|scope| {
        let revocation = scope.spawn(|| scene.command(&format!("key revoke {id}")).map(|_| Instant::now()));
        let refused = first_refusal(&request);
        // Why the command failed says more than that nothing was refused.
        let ended = revocation.join().expect("a command that fails is an error and no panic")?;
        Ok(refused?.saturating_duration_since(ended).as_secs_f64() * 1e3)
    })
}

/// Asks as fast as it is answered.
fn first_refusal(request: &Request) -> Result<Instant, Failure> {
    let start = Instant::now();
    loop {
        let answer = request.send()?;
        match answer.status {
            401 => return Ok(Instant::now()),
            200 if start.elapsed() < LIMIT => {}
            status => {
                let detail = format!("{status} after {:.1} s: {}", start.elapsed().as_secs_f64(), answer.body);
                return Err(Failure::Command { line: format!("{request} with a revoked key"), detail });
            }
        }
    }
}

const KEYS: usize = 7;
const LIMIT: Duration = Duration::from_secs(60);
