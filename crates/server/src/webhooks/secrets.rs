//! The secrets that sign what is sent to endpoints: sealed under a master key, since they must be read to sign.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    digest::{Digest, MasterKey},
    id::WebhookId,
    random::Rng,
    seal,
    webhook_secret::WebhookSecret,
};
use doorward_store::webhooks::SealedSecret;

/// A secret that can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretUnreadable {
    #[error("the secret does not open under its master key {0}")]
    Broken(String),
    #[error("the secret's master key {0} is missing; rotate the secret")]
    MasterKey(String),
}

pub(crate) fn seal(master_key: &MasterKey, id: &WebhookId, secret: &WebhookSecret, rng: &dyn Rng) -> SealedSecret {
    let sealed = seal::seal(&sealing_key(master_key), &context(id), secret.as_bytes(), rng);
    SealedSecret { sealed, sealed_under: master_key.id() }
}

pub(crate) fn open(
    master_keys: &[MasterKey],
    id: &WebhookId,
    SealedSecret { sealed, sealed_under }: &SealedSecret,
) -> Result<WebhookSecret, SecretUnreadable> {
    let missing = || SecretUnreadable::MasterKey(sealed_under.clone());
    let broken = || SecretUnreadable::Broken(sealed_under.clone());
    let master_key = master_keys.iter().find(|key| key.id() == *sealed_under).ok_or_else(missing)?;
    let bytes = seal::open(&sealing_key(master_key), &context(id), sealed).map_err(|_| broken())?;
    WebhookSecret::from_bytes(&bytes).map_err(|_| broken())
}

/// What identifies a secret without revealing it. Sealing draws random bytes, so that no two are the same.
pub(crate) fn fingerprint(secret: &SealedSecret) -> String {
    URL_SAFE_NO_PAD.encode(&Digest::sha256(&secret.sealed).as_bytes()[..16])
}

fn sealing_key(master_key: &MasterKey) -> impl std::ops::Deref<Target = [u8; 32]> + use<> {
    master_key.derive("doorward/webhook-secrets")
}

fn context(id: &WebhookId) -> String {
    format!("webhook-secret/{id}")
}

#[cfg(test)]
mod tests {
    use doorward_core::{clock::Timestamp, random::SeededRng};

    use super::*;

    #[test]
    fn secret_opens_under_its_master_key_and_for_its_endpoint_only() {
        let rng = SeededRng::new(1);
        let (old, new) = (MasterKey::generate(&rng), MasterKey::generate(&rng));
        let [id, other] = [1, 2].map(|at| WebhookId::new(Timestamp::from_secs(at), &rng));
        let secret = WebhookSecret::generate(&rng);
        let sealed = seal(&old, &id, &secret, &rng);
        let keys = |keys: &[&MasterKey]| -> Vec<MasterKey> {
            let again = |key: &&MasterKey| {
                use doorward_core::secret::ExposeSecret;
                MasterKey::parse(key.reveal().expose_secret()).unwrap()
            };
            keys.iter().map(again).collect()
        };
        let opened = open(&keys(&[&new, &old]), &id, &sealed).unwrap();
        assert_eq!(opened.as_bytes(), secret.as_bytes());
        assert!(matches!(open(&keys(&[&new]), &id, &sealed), Err(SecretUnreadable::MasterKey(_))));
        assert!(matches!(open(&keys(&[&old]), &other, &sealed), Err(SecretUnreadable::Broken(_))));
        assert!(!sealed.sealed.windows(32).any(|bytes| bytes == secret.as_bytes()));
    }
}
