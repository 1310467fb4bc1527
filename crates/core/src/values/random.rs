//! Random bytes, passed in.
//!
//! Every secret's entropy comes through [`Rng`]; only the wiring knows the operating system's source.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};

/// A source of random bytes that are fit for secrets.
pub trait Rng: Send + Sync + 'static {
    /// Fills `bytes`. A source that can't must end the process: a guessable secret is worse than none.
    fn fill(&self, bytes: &mut [u8]);

    /// Fills `bytes` for what must be unique and is not secret, such as an identifier. A source may take them from a
    /// stock, which is quicker.
    fn fill_public(&self, bytes: &mut [u8]) {
        self.fill(bytes);
    }
}

/// `N` random bytes, fit for a secret.
pub fn bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}

/// `N` random bytes for what is not secret.
pub fn public_bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_public(&mut bytes);
    bytes
}

/// A source that repeats itself from its seed: for tests alone.
#[derive(Debug)]
pub struct SeededRng {
    seed: u64,
    counter: AtomicU64,
}

impl SeededRng {
    /// A source that gives the same bytes for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: AtomicU64::new(0) }
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let counter = self.counter.fetch_add(1, Ordering::Relaxed);
            let block = digest(&SHA256, &[self.seed.to_le_bytes(), counter.to_le_bytes()].concat());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_repeats_itself_and_each_draw_differs() {
        let draws = |seed| {
            let rng = SeededRng::new(seed);
            (bytes::<40>(&rng), public_bytes::<40>(&rng))
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        let (first, second) = draws(1);
        assert!(first != second && first[..32] != second[..32] && first[32..] != [0; 8]);
    }
}
