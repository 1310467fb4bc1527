//! Hashing passwords with argon2id (RFC 9106), off the async threads and bounded.
//!
//! An unknown user costs the same hash as a wrong password. Easy to get wrong: stored hashes keep the cost that they were
//! computed with, so an unknown user costs what somebody's hash costs and not what the settings say.

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
use tracing::Instrument;

mod common;
mod lane;
mod turns;

pub(crate) use self::common::contains as is_common;
use self::turns::Turns;
pub use self::{lane::Parties, turns::Turn};
use crate::{settings, spans};

/// Computes hashes, a limited number at a time.
pub struct Passwords {
    argon2: Argon2<'static>,
    turns: Turns,
    /// How a hash of today's cost begins.
    cost: String,
    computed: Arc<AtomicUsize>,
}

impl Passwords {
    pub(crate) fn new(settings: &settings::Password) -> Self {
        let params = Params::new(settings.memory_kib, settings.iterations, settings.parallelism, None)
            .expect("the configuration keeps argon2's bounds");
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Turns::new(settings.max_concurrent_hashes, settings.hash_queue),
            cost: format!("$argon2id$v=19$m={memory},t={passes},p={lanes}"),
            computed: Arc::default(),
        }
    }

    /// Waits for a turn. Its holder may compute hashes, one after the other.
    pub async fn turn(&self, parties: &Parties) -> Result<Arc<Turn>, Refusal> {
        let overloaded = || {
            Refusal::new(Denial::Overloaded)
                .fact("queue", "password hashes")
                .retry_after(std::time::Duration::from_secs(2))
        };
        self.turns.take(parties).await.map(Arc::new).ok_or_else(overloaded)
    }

    /// The hash of a new password, in PHC form.
    pub async fn hash(&self, password: SecretString, turn: &Arc<Turn>, rng: &dyn Rng) -> Result<SecretString, Refusal> {
        let salt: [u8; 16] = random::bytes(rng);
        let argon2 = self.argon2.clone();
        self.compute(turn, move || {
            let hash = argon2.hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash| SecretString::from(hash.to_string()))
        })
        .await?
        .map_err(|error| Refusal::new(Denial::Unavailable).fact("argon2", error))
    }

    /// Whether `password` is the one of a hash. A password that is not in ASCII is also tried in the form in which an
    /// older program may have hashed it.
    pub async fn verify(
        &self,
        password: &SecretString,
        against: Against<'_>,
        turn: &Arc<Turn>,
    ) -> Result<bool, Refusal> {
        let (hash, exists) = match against {
            Against::Hash(hash) => (hash.clone(), true),
            Against::Nothing { like } => (self.unmatchable(like), false),
        };
        for candidate in password::candidates(password.expose_secret()) {
            if self.fits(candidate, hash.clone(), turn).await? {
                return Ok(exists);
            }
        }
        Ok(false)
    }

    /// Whether a hash has the cost that new ones have.
    pub(crate) fn is_current(&self, hash: &SecretString) -> bool {
        cost_of(hash.expose_secret()) == Some(&self.cost)
    }

    /// A hash of the same cost as another one, that no password needs to have. It is only compared with.
    fn unmatchable(&self, like: Option<&SecretString>) -> SecretString {
        let cost = like.and_then(|like| cost_of(like.expose_secret())).unwrap_or(&self.cost);
        let (salt, hash) = (STANDARD_NO_PAD.encode([0; 16]), STANDARD_NO_PAD.encode([0; 32]));
        format!("{cost}${salt}${hash}").into()
    }

    async fn fits(&self, password: SecretString, hash: SecretString, turn: &Arc<Turn>) -> Result<bool, Refusal> {
        let argon2 = self.argon2.clone();
        self.compute(turn, move || {
            PasswordHash::new(hash.expose_secret())
                .is_ok_and(|hash| argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
        })
        .await
    }

    /// How many hashes were computed: for tests that count work instead of time.
    pub fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }

    /// How many attempts wait for a turn.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.waiting()
    }

    async fn compute<T: Send + 'static>(
        &self,
        turn: &Arc<Turn>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = turn.clone();
        let computed = self.computed.clone();
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work itself: an aborted request must not let another hash begin beside it.
            let _turn = turn;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        task.instrument(spans::password_hash())
            .await
            .map_err(|error| Refusal::new(Denial::Unavailable).fact("hashing", error))
    }
}

/// What a password is held against.
#[derive(Clone, Copy, Debug)]
pub enum Against<'a> {
    /// The hash of a user.
    Hash(&'a SecretString),
    /// No user: the same work is done, and the password is wrong.
    Nothing {
        /// The hash whose cost it has; without one, that of a new hash.
        like: Option<&'a SecretString>,
    },
}

/// How a hash in PHC form begins: its algorithm and its cost.
fn cost_of(hash: &str) -> Option<&str> {
    let end = hash.match_indices('$').nth(3)?.0;
    Some(&hash[..end])
}

#[cfg(test)]
mod tests {
    use doorward_core::random::SeededRng;

    use super::*;
    use crate::Settings;

    fn passwords() -> Passwords {
        with_settings(|_| {})
    }

    fn with_settings(change: impl FnOnce(&mut settings::Password)) -> Passwords {
        let mut settings = settings::Password { memory_kib: 64, ..Settings::new("http://localhost").password };
        change(&mut settings);
        Passwords::new(&settings)
    }

    async fn hash(passwords: &Passwords, password: &SecretString) -> SecretString {
        let turn = passwords.turn(&Parties::operator()).await.unwrap();
        passwords.hash(password.clone(), &turn, &SeededRng::new(1)).await.unwrap()
    }

    async fn fits(passwords: &Passwords, password: &SecretString, against: Against<'_>) -> bool {
        let turn = passwords.turn(&Parties::operator()).await.unwrap();
        passwords.verify(password, against, &turn).await.unwrap()
    }

    #[tokio::test]
    async fn hash_matches_only_its_password() {
        let passwords = passwords();
        let hash = hash(&passwords, &"correct horse".into()).await;
        assert!(fits(&passwords, &"correct horse".into(), Against::Hash(&hash)).await);
        assert!(!fits(&passwords, &"correct hors".into(), Against::Hash(&hash)).await);
    }

    #[tokio::test]
    async fn unknown_user_costs_one_hash_of_the_cost_of_a_stored_one() {
        let (older, passwords) = (passwords(), with_settings(|settings| settings.iterations = 3));
        let stored = hash(&older, &"correct horse".into()).await;
        assert!(!passwords.is_current(&stored) && older.is_current(&stored));
        let like_stored = passwords.unmatchable(Some(&stored));
        assert_eq!(cost_of(like_stored.expose_secret()), cost_of(stored.expose_secret()));
        assert_eq!(like_stored.expose_secret().len(), stored.expose_secret().len());
        assert!(passwords.is_current(&passwords.unmatchable(None)));
        assert!(passwords.is_current(&passwords.unmatchable(Some(&"nonsense".into()))));
        let before = passwords.computed();
        assert!(!fits(&passwords, &"correct horse".into(), Against::Nothing { like: Some(&stored) }).await);
        assert_eq!(passwords.computed(), before + 1);
    }

    #[tokio::test]
    async fn hash_of_another_normal_form_fits_by_one_more_hash() {
        let passwords = passwords();
        let (composed, decomposed): (SecretString, SecretString) = ("caf\u{e9}".into(), "cafe\u{301}".into());
        for stored in [&composed, &decomposed] {
            let hash = hash(&passwords, stored).await;
            for typed in [&composed, &decomposed] {
                assert!(fits(&passwords, typed, Against::Hash(&hash)).await);
            }
        }
        let before = passwords.computed();
        assert!(!fits(&passwords, &composed, Against::Nothing { like: None }).await);
        assert_eq!(passwords.computed() - before, 2, "as many as for a user who exists");
    }

    #[tokio::test]
    async fn full_queue_is_refused_with_503() {
        let passwords = with_settings(|settings| (settings.hash_queue, settings.max_concurrent_hashes) = (1, 1));
        let parties = Parties::known("a".to_owned());
        let turn = passwords.turn(&parties).await.unwrap();
        let others = Parties::known("b".to_owned());
        let mut waits = Box::pin(passwords.turns.take(&others));
        let waker = std::task::Waker::noop();
        assert!(waits.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        let refused = passwords.turn(&parties).await.err().unwrap();
        assert_eq!(refused.denial, Denial::Overloaded);
        assert!(refused.retry_after.is_some());
        drop((turn, waits));
        assert!(!fits(&passwords, &"x".into(), Against::Nothing { like: None }).await);
    }
}
