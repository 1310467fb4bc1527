//! The machine's own clock and random source: the one place outside the tests where either is asked.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use doorward_core::{
    clock::{Clock, Timestamp},
    random::Rng,
};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the clock that is passed in everywhere else")]
        let now = SystemTime::now();
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The random source of AWS-LC, seeded by the operating system.
#[derive(Debug)]
pub struct SystemRng(SystemRandom);

impl Default for SystemRng {
    fn default() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the source that is passed in everywhere else")]
        let source = SystemRandom::new();
        Self(source)
    }
}

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("a process without randomness must not go on");
    }
}
