//! The machine's clock and random source: the one place outside of tests that uses either.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use doorward_core::{
    clock::{Clock, Timestamp},
    random::Rng,
};

/// The wall clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the clock that is passed in everywhere else")]
        let now = SystemTime::now();
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
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

    /// Each draw costs the same for any size, and a request needs several identifiers.
    fn fill_public(&self, bytes: &mut [u8]) {
        BUFFER.with_borrow_mut(|buffer| buffer.take(bytes, |all| self.fill(all)));
    }
}

thread_local! {
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer { bytes: [0; BUFFER_SIZE], left: 0 }) };
}

/// Random bytes that are not secret. Each is used once.
struct Buffer {
    bytes: [u8; BUFFER_SIZE],
    left: usize,
}

impl Buffer {
    fn take(&mut self, wanted: &mut [u8], draw: impl FnOnce(&mut [u8])) {
        if wanted.len() > BUFFER_SIZE {
            return draw(wanted);
        }
        if wanted.len() > self.left {
            draw(&mut self.bytes);
            self.left = BUFFER_SIZE;
        }
        let rest = self.left - wanted.len();
        wanted.copy_from_slice(&self.bytes[rest..self.left]);
        self.left = rest;
    }
}

const BUFFER_SIZE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_of_the_buffer_is_given_once() {
        let mut buffer = Buffer { bytes: [0; BUFFER_SIZE], left: 0 };
        let mut next = 0_u16;
        // Every pair of bytes that is drawn is another number.
        let mut draw = |all: &mut [u8]| {
            for pair in all.chunks_mut(2) {
                pair.copy_from_slice(&next.to_be_bytes());
                next += 1;
            }
        };
        let mut given = std::collections::HashSet::new();
        for _ in 0..200 {
            let mut wanted = [0; 10];
            buffer.take(&mut wanted, &mut draw);
            assert!(wanted.chunks(2).all(|pair| given.insert([pair[0], pair[1]])));
        }
        assert_eq!(next, 4 * 256, "51 takes from each draw");
    }

    #[test]
    fn all_that_is_left_is_given_before_more_is_drawn() {
        for wanted in [1, BUFFER_SIZE] {
            let mut given = vec![0; wanted];
            Buffer { bytes: [7; BUFFER_SIZE], left: wanted }
                .take(&mut given, |_| panic!("there are as many as wanted"));
            assert_eq!(given, vec![7; wanted]);
        }
    }

    #[test]
    fn more_than_the_buffer_is_drawn_at_once() {
        let mut wanted = [0; BUFFER_SIZE + 1];
        Buffer { bytes: [7; BUFFER_SIZE], left: BUFFER_SIZE }.take(&mut wanted, |all| all.fill(1));
        assert!(wanted.iter().all(|byte| *byte == 1));
    }

    #[test]
    fn public_bytes_of_the_machine_differ() {
        let rng = SystemRng::default();
        let mut seen = std::collections::HashSet::new();
        assert!((0..1_000).all(|_| seen.insert(doorward_core::random::public_bytes::<16>(&rng))));
    }
}
