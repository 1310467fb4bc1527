//! The master keys inside a backup, for those who ask for it: sealed under a key that is derived from a passphrase by
//! Argon2id (RFC 9106), with that standard's second recommended cost.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    digest::MasterKey,
    random::{self, Rng},
    seal,
    secret::{ExposeSecret, SecretString},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::BackupError;

/// Sealed master keys, and how their key comes from the passphrase.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Enclosed {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    sealed: String,
}

impl Enclosed {
    /// Seals the keys into the backup with this id.
    pub(super) fn seal(
        master_keys: &[MasterKey],
        passphrase: &SecretString,
        id: &str,
        rng: &dyn Rng,
    ) -> Result<Enclosed, BackupError> {
        let salt: [u8; 16] = random::bytes(rng);
        let (memory_kib, passes, lanes) = COST;
        let mut enclosed =
            Enclosed { memory_kib, passes, lanes, salt: URL_SAFE_NO_PAD.encode(salt), sealed: String::new() };
        let mut keys = Zeroizing::new(String::new());
        for key in master_keys {
            keys.push_str(key.reveal().expose_secret());
            keys.push('\n');
        }
        let key = enclosed.key(passphrase)?;
        enclosed.sealed = URL_SAFE_NO_PAD.encode(seal::seal(&key, &context(id), keys.as_bytes(), rng));
        Ok(enclosed)
    }

    /// Opens the keys of the backup with this id.
    pub(super) fn open(&self, passphrase: &SecretString, id: &str) -> Result<Vec<MasterKey>, BackupError> {
        let sealed = URL_SAFE_NO_PAD.decode(&self.sealed).map_err(|_| BackupError::NotABackup)?;
        let keys = seal::open(&*self.key(passphrase)?, &context(id), &sealed).map_err(|_| BackupError::Passphrase)?;
        let keys = std::str::from_utf8(&keys).map_err(|_| BackupError::Passphrase)?;
        keys.lines().map(|key| MasterKey::parse(key).map_err(|_| BackupError::Passphrase)).collect()
    }

    fn key(&self, passphrase: &SecretString) -> Result<Zeroizing<[u8; 32]>, BackupError> {
        // The cost is the file's word, which anybody may have written.
        let (memory_kib, passes, lanes) = COST;
        let work = |memory_kib, passes| u64::from(memory_kib) * u64::from(passes);
        let is_bounded =
            work(self.memory_kib, self.passes) <= MOST_WORK * work(memory_kib, passes) && self.lanes <= 16 * lanes;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok().filter(|_| is_bounded);
        let (Some(params), Ok(salt)) = (params, URL_SAFE_NO_PAD.decode(&self.salt)) else {
            return Err(BackupError::NotABackup);
        };
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose_secret().as_bytes(), &salt, &mut *key)
            .map_err(|_| BackupError::Passphrase)?;
        Ok(key)
    }
}

fn context(id: &str) -> String {
    format!("backup/{id}/master-keys")
}

/// Memory in KiB, passes, lanes: RFC 9106 section 4, second recommendation.
const COST: (u32, u32, u32) = (64 * 1024, 3, 4);

/// How many times as much work a newer program may have asked for.
const MOST_WORK: u64 = 16;

#[cfg(test)]
mod tests {
    use doorward_core::random::SeededRng;

    use super::*;

    #[test]
    fn master_keys_open_with_their_passphrase_only() {
        let rng = SeededRng::new(1);
        let keys = [MasterKey::generate(&rng), MasterKey::generate(&rng)];
        let enclosed = Enclosed::seal(&keys, &"right".into(), "id", &rng).unwrap();

        let opened = enclosed.open(&"right".into(), "id").unwrap();
        let ids = |keys: &[MasterKey]| keys.iter().map(MasterKey::id).collect::<Vec<_>>();
        assert_eq!(ids(&opened), ids(&keys));
        assert!(matches!(enclosed.open(&"wrong".into(), "id"), Err(BackupError::Passphrase)));
        assert!(matches!(enclosed.open(&"right".into(), "other"), Err(BackupError::Passphrase)));

        let costly = [
            Enclosed { memory_kib: u32::MAX, ..enclosed.clone() },
            Enclosed { passes: 49, ..enclosed.clone() },
            Enclosed { lanes: 65, ..enclosed },
        ];
        for costly in costly {
            assert!(matches!(costly.open(&"right".into(), "id"), Err(BackupError::NotABackup)), "{costly:?}");
        }
    }
}
