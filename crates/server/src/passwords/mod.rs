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
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use doorward_core::{
    denial::Denial,
    password,
    random::{self, Rng},
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
};
use tokio::sync::Semaphore;

use crate::settings;

mod common;

pub(crate) use self::common::contains as is_common;

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
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        // What stands for a hash is only ever compared with: no password needs to have it.
        let (salt, hash) = (STANDARD_NO_PAD.encode([0; 16]), STANDARD_NO_PAD.encode([0; 32]));
        let unknown_user = format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}").into();
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
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

    /// Whether `password` is the one of `hash`; with `None` the same work is done, and the answer is no. A password
    /// that is not in ASCII is tried once more in the form in which an older program may have hashed it.
    pub async fn verify(&self, password: &SecretString, hash: Option<SecretString>) -> Result<bool, Refusal> {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.unknown_user.clone());
        for candidate in password::candidates(password.expose_secret()) {
            if self.fits(candidate, hash.clone()).await? {
                return Ok(exists);
            }
        }
        Ok(false)
    }

    async fn fits(&self, password: SecretString, hash: SecretString) -> Result<bool, Refusal> {
        let argon2 = self.argon2.clone();
        self.compute(move || {
            PasswordHash::new(hash.expose_secret())
                .is_ok_and(|hash| argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
        })
        .await
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
        let place = Place::take(&self.waiting, self.longest_queue).ok_or_else(overloaded)?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| overloaded())?;
        // Whoever is served waits no more.
        drop(place);
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

#[cfg(test)]
mod tests {
    use doorward_core::random::SeededRng;

    use super::*;
    use crate::Settings;

    fn passwords() -> Passwords {
        let settings = settings::Password { memory_kib: 64, ..Settings::new("http://localhost").password };
        Passwords::new(&settings)
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_alone() {
        let passwords = passwords();
        let hash = passwords.hash("correct horse".into(), &SeededRng::new(1)).await.unwrap();
        assert!(passwords.verify(&"correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(&"correct hors".into(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_user_costs_one_hash_of_the_same_parameters() {
        let passwords = passwords();
        let known = passwords.hash("correct horse".into(), &SeededRng::new(1)).await.unwrap();
        let parameters = |hash: &SecretString| hash.expose_secret().split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(&known), parameters(&passwords.unknown_user));
        let before = passwords.computed();
        assert!(!passwords.verify(&"correct horse".into(), None).await.unwrap());
        assert_eq!(passwords.computed(), before + 1);
    }

    #[tokio::test]
    async fn hash_of_another_normal_form_fits_by_one_more_hash() {
        let passwords = passwords();
        let (composed, decomposed): (SecretString, SecretString) = ("caf\u{e9}".into(), "cafe\u{301}".into());
        for stored in [&composed, &decomposed] {
            let hash = passwords.hash(stored.clone(), &SeededRng::new(1)).await.unwrap();
            for typed in [&composed, &decomposed] {
                assert!(passwords.verify(typed, Some(hash.clone())).await.unwrap());
            }
        }
        let before = passwords.computed();
        assert!(!passwords.verify(&composed, None).await.unwrap());
        assert_eq!(passwords.computed() - before, 2, "as many as for a user who exists");
    }

    #[tokio::test]
    async fn a_full_queue_is_refused_with_503_and_frees_itself() {
        let settings =
            settings::Password { memory_kib: 64, hash_queue: 1, ..Settings::new("http://localhost").password };
        let passwords = Passwords::new(&settings);
        let place = Place::take(&passwords.waiting, 1).unwrap();
        let refused = passwords.verify(&"x".into(), None).await.unwrap_err();
        assert_eq!(refused.denial, Denial::Overloaded);
        assert!(refused.retry_after.is_some());
        drop(place);
        assert!(passwords.verify(&"x".into(), None).await.is_ok());
    }
}
