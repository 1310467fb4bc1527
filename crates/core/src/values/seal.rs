//! Encryption at rest: AES-256-GCM (NIST SP 800-38D) under a key for one purpose.
//!
//! The stored form is the nonce (12 bytes), then ciphertext and tag. The caller names the context (what, whose) as
//! associated data, so that a sealed value moved to another row does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::random::{self, Rng};

/// A sealed value that this key and context don't open.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the sealed value does not open under this key")]
pub struct SealBroken;

/// Encrypts `plain` under `key`, bound to `context`.
pub fn seal(key: &[u8; 32], context: &str, plain: &[u8], rng: &dyn Rng) -> Vec<u8> {
    seal_with_nonce(key, context, plain, random::bytes(rng))
}

/// Encrypts as [`seal`] does, with a nonce drawn before. Under one key a nonce is used once, ever.
pub fn seal_with_nonce(key: &[u8; 32], context: &str, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut sealed)
        .expect("AES-GCM seals anything below 64 GiB");
    [&nonce[..], &sealed].concat()
}

/// Decrypts what [`seal`] gave.
pub fn open(key: &[u8; 32], context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(SealBroken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealBroken)?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length =
        cipher(key).open_in_place(nonce, Aad::from(context.as_bytes()), &mut plain).map_err(|_| SealBroken)?.len();
    plain.truncate(length);
    Ok(plain)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn opens_with_the_same_key_and_context_only() {
        let sealed = seal(&[1; 32], "signing_key/sig_1", b"plain", &SeededRng::new(1));
        assert_eq!(open(&[1; 32], "signing_key/sig_1", &sealed).unwrap().as_slice(), b"plain");
        assert_eq!(open(&[2; 32], "signing_key/sig_1", &sealed), Err(SealBroken));
        assert_eq!(open(&[1; 32], "signing_key/sig_2", &sealed), Err(SealBroken));
        assert_eq!(open(&[1; 32], "signing_key/sig_1", &sealed[..11]), Err(SealBroken));
        assert!(!sealed.windows(5).any(|w| w == b"plain"));
    }

    #[test]
    fn sealed_value_begins_with_its_nonce_and_can_not_change() {
        let sealed = seal_with_nonce(&[1; 32], "context", b"plain", [7; NONCE_LEN]);
        assert_eq!((&sealed[..12], sealed.len()), (&[7; 12][..], 12 + 5 + 16));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&[1; 32], "context", &changed), Err(SealBroken), "{at}");
        }
    }
}
