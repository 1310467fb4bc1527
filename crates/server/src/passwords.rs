//! Hashing passwords with argon2id (RFC 9106), off the async threads and bounded.
//!
//! An unknown user costs the same hash as a wrong password: [`Passwords::verify`] takes an absent hash and hashes
//! against one of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use doorward_core::{
    denial::Denial,
    random::{self, Rng},
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
};
use tokio::sync::Semaphore;

use crate::settings;

/// Computes hashes, so many at a time.
pub struct Passwords {
    argon2: Argon2<'static>,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    longest_queue: usize,
    unknown_user: SecretString,
    computed: Arc<AtomicUsize>,
}

impl Passwords {
    pub(crate) fn new(settings: &settings::Password) -> Self {
        let params = Params::new(settings.memory_kib, settings.iterations, settings.parallelism, None)
            .expect("the configuration keeps argon2's bounds");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let unknown_user = argon2
            .hash_password_with_salt(b"a password that nobody has", b"doorward-unknown")
            .expect("a fixed salt of 16 bytes hashes")
            .to_string()
            .into();
        Self {
            argon2,
            permits: Arc::new(Semaphore::new(settings.max_concurrent_hashes.max(1))),
            waiting: Arc::default(),
            longest_queue: settings.hash_queue,
            unknown_user,
            computed: Arc::default(),
        }
    }

    /// The hash of a new password, in PHC form.
    pub async fn hash(&self, password: SecretString, rng: &dyn Rng) -> Result<SecretString, Refusal> {
        let salt: [u8; 16] = random::bytes(rng);
        let argon2 = self.argon2.clone();
        self.compute(move || {
            let hash = argon2.hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash| SecretString::from(hash.to_string()))
        })
        .await?
        .map_err(|error| Refusal::new(Denial::Unavailable).fact("argon2", error))
    }

    /// Whether `password` is the one of `hash`; with `None` the same work is done, and the answer is no.
    pub async fn verify(&self, password: SecretString, hash: Option<SecretString>) -> Result<bool, Refusal> {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.unknown_user.clone());
        let argon2 = self.argon2.clone();
        let matches = self
            .compute(move || {
                PasswordHash::new(hash.expose_secret())
                    .is_ok_and(|hash| argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(matches && exists)
    }

    /// How many hashes were computed: for tests that count work instead of time.
    pub fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let overloaded = || {
            Refusal::new(Denial::Overloaded)
                .fact("queue", "password hashes")
                .retry_after(std::time::Duration::from_secs(2))
        };
        let _place = Place::take(&self.waiting, self.longest_queue).ok_or_else(overloaded)?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| overloaded())?;
        let computed = self.computed.clone();
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work itself: an aborted request must not let another hash begin beside it.
            let _permit = permit;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        task.await.map_err(|error| Refusal::new(Denial::Unavailable).fact("hashing", error))
    }
}

/// A place in the queue, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, longest: usize) -> Option<Self> {
        let place = Self(waiting.clone());
        (waiting.fetch_add(1, Ordering::AcqRel) < longest.max(1)).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
