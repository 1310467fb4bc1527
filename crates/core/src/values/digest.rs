//! How secrets of high entropy (keys, codes, refresh tokens, client secrets) are remembered: HMAC-SHA-256 under a
//! pepper that never enters the database.
//!
//! A pepper is derived from a master key by HKDF (RFC 5869). Each digest carries its pepper's id, so that master keys
//! can be replaced: the newest pepper computes new digests, and look-ups try each live one.

use std::fmt;

use aws_lc_rs::{digest as hash, hkdf, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    random::{self, Rng},
    secret::{SecretString, constant_time_eq},
};

/// 32 bytes from which every key that protects stored data is derived. Kept outside the database.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// A text that is not a master key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a master key is 32 bytes in base64url without padding (43 characters)")]
pub struct InvalidMasterKey;

impl MasterKey {
    /// A new master key.
    pub fn generate(rng: &dyn Rng) -> Self {
        Self(Zeroizing::new(random::bytes(rng)))
    }

    /// Reads a master key from base64url; white space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, InvalidMasterKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| InvalidMasterKey)?);
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| InvalidMasterKey)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The master key in base64url, to be written to its file.
    pub fn reveal(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(*self.0).into()
    }

    /// Names the master key without revealing anything about it. It is stored beside everything that depends on the
    /// key.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&derive(&*self.0, "doorward/key-id")[..6])
    }

    /// The pepper of this master key.
    pub fn pepper(&self) -> Pepper {
        Pepper { id: self.id(), key: hmac::Key::new(hmac::HMAC_SHA256, &*derive(&*self.0, "doorward/pepper")) }
    }

    /// A key for one purpose, named by `info`.
    pub fn derive(&self, info: &str) -> Zeroizing<[u8; 32]> {
        derive(&*self.0, info)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// HKDF-SHA-256 (RFC 5869) without salt: a key of 32 bytes for the purpose that `info` names.
pub fn derive(secret: &[u8], info: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(secret)
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *key))
        .expect("32 bytes are one block of HKDF-SHA-256");
    key
}

/// A secret key for digests, and its name.
pub struct Pepper {
    id: String,
    key: hmac::Key,
}

impl Pepper {
    /// The name that is stored beside each digest of this pepper.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The digest of a secret under this pepper.
    pub fn digest(&self, secret: &str) -> Digest {
        let tag = hmac::sign(&self.key, secret.as_bytes());
        Digest(tag.as_ref().try_into().expect("HMAC-SHA-256 gives 32 bytes"))
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper({})", self.id)
    }
}

/// The live peppers, the one for new digests first.
#[derive(Debug)]
pub struct Peppers(Vec<Pepper>);

impl Peppers {
    /// The peppers of the given master keys; the first is the newest.
    pub fn new<'a>(master_keys: impl IntoIterator<Item = &'a MasterKey>) -> Self {
        let peppers: Vec<_> = master_keys.into_iter().map(MasterKey::pepper).collect();
        assert!(!peppers.is_empty(), "at least one master key is needed");
        Self(peppers)
    }

    /// The pepper for new digests.
    pub fn current(&self) -> &Pepper {
        &self.0[0]
    }

    /// The digests under which a secret may be stored, the current pepper's first.
    pub fn candidates<'a>(&'a self, secret: &'a str) -> impl Iterator<Item = KeyedDigest> + 'a {
        self.0.iter().map(move |pepper| KeyedDigest { pepper: pepper.id.clone(), digest: pepper.digest(secret) })
    }

    /// The digest to store for a new secret.
    pub fn digest(&self, secret: &str) -> KeyedDigest {
        KeyedDigest { pepper: self.current().id.clone(), digest: self.current().digest(secret) }
    }

    /// Whether `stored` is the digest of `secret`, in constant time. A digest whose pepper is gone matches nothing.
    pub fn matches(&self, secret: &str, stored: &KeyedDigest) -> bool {
        self.0.iter().any(|pepper| pepper.id == stored.pepper && pepper.digest(secret).matches(&stored.digest))
    }
}

/// 32 bytes that stand for a secret.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From the stored form.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 without a key: to find again what is public or was verified already (a token in a cache).
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(hash::digest(&hash::SHA256, bytes).as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// The bytes, as the store keeps them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Equality in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A digest with the name of its pepper.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyedDigest {
    /// The id of the pepper, to find it again.
    pub pepper: String,
    /// The digest under that pepper.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{random::SeededRng, secret::ExposeSecret};

    #[test]
    fn a_master_key_reads_back() {
        let key = MasterKey::generate(&SeededRng::new(1));
        let again = MasterKey::parse(&format!(" {}\n", key.reveal().expose_secret())).unwrap();
        assert_eq!(again.id(), key.id());
        assert!(MasterKey::parse("short").is_err());
    }

    #[test]
    fn old_digests_match_and_new_ones_use_the_newest_key() {
        let rng = SeededRng::new(1);
        let (old, new) = (MasterKey::generate(&rng), MasterKey::generate(&rng));
        let stored = Peppers::new([&old]).digest("secret");
        let peppers = Peppers::new([&new, &old]);
        assert!(peppers.matches("secret", &stored));
        assert!(!peppers.matches("secreT", &stored));
        assert_eq!(peppers.digest("secret").pepper, new.id());
        assert!(!Peppers::new([&new]).matches("secret", &stored));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = MasterKey::generate(&SeededRng::new(1));
        let shown = format!("{key:?} {:?} {:?}", key.pepper(), key.pepper().digest("secret"));
        assert!(!shown.contains(key.reveal().expose_secret()));
        assert!(!shown.contains("secret"));
    }

    #[test]
    fn keys_are_derived_by_purpose() {
        let key = MasterKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        assert_eq!(*key.derive("one"), *derive(&[0; 32], "one"));
        assert_ne!(*key.derive("one"), *key.derive("two"));
        assert_eq!(key.pepper().id(), key.id());
    }

    #[test]
    fn digest_of_a_secret_is_found_among_its_candidates() {
        let rng = SeededRng::new(1);
        let (old, new) = (MasterKey::generate(&rng), MasterKey::generate(&rng));
        let peppers = Peppers::new([&new, &old]);
        let candidates: Vec<_> = peppers.candidates("secret").collect();
        assert_eq!(candidates, [peppers.digest("secret"), Peppers::new([&old]).digest("secret")]);
        assert!(Digest::sha256(b"a").matches(&Digest::from_bytes(*Digest::sha256(b"a").as_bytes())));
        assert!(!Digest::sha256(b"a").matches(&Digest::sha256(b"b")));
    }

    #[test]
    fn master_key_and_pepper_are_named_by_eight_characters() {
        let rng = SeededRng::new(1);
        let (one, other) = (MasterKey::generate(&rng), MasterKey::generate(&rng));
        assert_eq!((one.id().len(), one.id() == other.id()), (8, false));
        let shown = format!("{one:?} {:?} {:?}", one.pepper(), one.pepper().digest("secret"));
        assert_eq!(shown, format!("MasterKey({0}) Pepper({0}) Digest(…)", one.id()));
    }
}
