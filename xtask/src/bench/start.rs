//! How soon the server answers on a data folder that exists, and what it takes of memory when nobody asks for anything.

use std::thread;
use std::time::{Duration, Instant};

use super::http::Request;
use super::report::median;
use super::scene::Scene;
use crate::failure::Failure;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Start {
    /// From the program's start to the first 200 of `/health`, in milliseconds: the median of the starts. The shell
    /// that holds the program is in it.
    pub(super) ready_ms: f64,
    /// The memory five seconds later, in KiB.
    pub(super) idle_kib: u64,
}

impl Start {
    pub(super) fn measure(scene: &Scene) -> Result<Self, Failure> {
        let health = Request::get(scene.port()?, "/health");
        let mut ready = Vec::new();
        let mut idle_kib = 0;
        for nth in 1..=STARTS {
            let start = Instant::now();
            let mut server = scene.spawn(&[])?;
            while !health.send().is_ok_and(|answer| answer.status == 200) {
                if start.elapsed() > LIMIT {
                    let detail = format!("no success within {} s", LIMIT.as_secs());
                    return Err(Failure::Command { line: health.to_string(), detail });
                }
                thread::sleep(Duration::from_millis(1));
            }
            ready.push(start.elapsed().as_secs_f64() * 1e3);
            server.said()?;
            if nth == STARTS {
                thread::sleep(IDLE);
                idle_kib = server.resident_kib()?;
            }
            server.stop()?;
        }
        Ok(Self { ready_ms: median(ready).expect("there were starts"), idle_kib })
    }
}

const STARTS: usize = 9;
const IDLE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);
