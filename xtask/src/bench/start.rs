//! How soon the server answers on a data folder that exists, and how much memory it uses when idle.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::report::{Section, median, megabytes, target};
use super::{http, pinned, scene::Scene};

/// The start is measured from the program to the first 200 of `/health`, with the shell around the program.
pub(super) fn measure(scene: &Scene) -> Result<Section> {
    let health = http::get(scene.port, "/health").body(String::new())?;
    let mut ready = Vec::new();
    let mut idle = 0.0;
    for nth in 1..=STARTS {
        let start = Instant::now();
        let server = scene.spawn(&[])?;
        while !http::send(&health).is_ok_and(|answer| answer.status() == 200) {
            ensure!(start.elapsed() < LIMIT, "/health had no success within {LIMIT:?}");
            thread::sleep(Duration::from_millis(1));
        }
        ready.push(start.elapsed().as_secs_f64() * 1e3);
        if nth == STARTS {
            thread::sleep(IDLE);
            idle = megabytes(pinned::memory_kib(scene.folder(), "VmRSS:")?);
        }
        server.stop()?;
    }
    let ready = median(ready).expect("there were starts");
    let ready = target("ready in 100 ms", format!("{ready:.0} ms"), ready <= 100.0);
    let idle = target("25 MB idle", format!("{idle:.1} MB"), idle <= 25.0);
    Ok(Section { targets: vec![ready, idle], ..Section::default() })
}

const STARTS: usize = 9;
const IDLE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);
