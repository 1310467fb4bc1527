//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037), parsed once into keys that verify and sign.
//!
//! A key knows its algorithms before any token is read; the token's `alg` only has to agree (RFC 8725 section 3.1).
//! There are no symmetric keys here at all, so no public key can ever become an HMAC secret.

use std::fmt;

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
        RsaKeyPair, RsaParameters, RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    json,
    random::{self, Rng},
};

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub enum Algorithm {
    /// Ed25519. Written `EdDSA`; `Ed25519` (RFC 9864) is read as the same.
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
}

impl Algorithm {
    /// Every algorithm, the preferred first.
    pub const ALL: [Self; 4] = [Self::EdDSA, Self::ES256, Self::PS256, Self::RS256];

    /// Reads an `alg`. There is no `none` and no HMAC.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "EdDSA" | "Ed25519" => Self::EdDSA,
            "ES256" => Self::ES256,
            "PS256" => Self::PS256,
            "RS256" => Self::RS256,
            _ => return None,
        })
    }

    /// The value of `alg` in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::PS256 => "PS256",
            Self::RS256 => "RS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A JWK that can't be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidJwk {
    /// The coordinates or components are malformed, too weak, or not on the curve.
    #[error("the key material is malformed or too weak")]
    Material,
    /// `alg` is not one that this type of key can have.
    #[error("`alg` does not match the key")]
    Mismatch,
    /// The key holds private parts, which nobody should publish.
    #[error("the key contains private parts")]
    Private,
    /// `kty` or `crv` is none that verifies here.
    #[error("this type of key is not supported")]
    Unsupported,
    /// `use` or `key_ops` says that the key is not for signatures.
    #[error("the key is not for signatures")]
    Use,
}

/// A public key, parsed.
pub struct VerifyingKey {
    kid: Option<String>,
    keys: Vec<(Algorithm, ParsedPublicKey)>,
    jwk: Map<String, Value>,
}

impl VerifyingKey {
    /// Reads a public JWK. An RSA key without `alg` may verify RS256 and PS256; every other key has one algorithm.
    pub fn parse(jwk: &Map<String, Value>) -> Result<Self, InvalidJwk> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(text(name).ok_or(InvalidJwk::Material)?);
            decoded.map_err(|_| InvalidJwk::Material)
        };
        if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|name| jwk.contains_key(*name)) {
            return Err(InvalidJwk::Private);
        }
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        let verifies = operations.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !verifies || text("use").is_some_and(|usage| usage != "sig") {
            return Err(InvalidJwk::Use);
        }
        let (members, possible): (&[&str], &[Algorithm]) = match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => (&["crv", "kty", "x"], &[Algorithm::EdDSA]),
            (Some("EC"), Some("P-256")) => (&["crv", "kty", "x", "y"], &[Algorithm::ES256]),
            (Some("RSA"), _) => (&["e", "kty", "n"], &[Algorithm::RS256, Algorithm::PS256]),
            _ => return Err(InvalidJwk::Unsupported),
        };
        let stated = match jwk.get("alg") {
            None => None,
            Some(alg) => Some(alg.as_str().and_then(Algorithm::parse).ok_or(InvalidJwk::Mismatch)?),
        };
        if stated.is_some_and(|alg| !possible.contains(&alg)) {
            return Err(InvalidJwk::Mismatch);
        }
        let mut keys = Vec::new();
        for algorithm in possible.iter().copied().filter(|alg| stated.is_none_or(|stated| stated == *alg)) {
            let key = match algorithm {
                Algorithm::EdDSA => okp_key(&bytes("x")?),
                Algorithm::ES256 => ec_key(&bytes("x")?, &bytes("y")?),
                Algorithm::PS256 => rsa_key(&bytes("n")?, &bytes("e")?, &RSA_PSS_2048_8192_SHA256),
                Algorithm::RS256 => rsa_key(&bytes("n")?, &bytes("e")?, &RSA_PKCS1_2048_8192_SHA256),
            }?;
            keys.push((algorithm, key));
        }
        let jwk = members.iter().filter_map(|name| Some((String::from(*name), jwk.get(*name)?.clone()))).collect();
        Ok(Self { kid: text("kid").map(str::to_owned), keys, jwk })
    }

    /// The name by which tokens refer to the key, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether the key may verify this algorithm.
    pub fn verifies(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|(own, _)| *own == algorithm)
    }

    /// Whether `signature` is this key's over `message`. ECDSA signatures are `r || s` of the exact length, never DER.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = self.keys.iter().find(|(own, _)| *own == algorithm);
        key.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }

    /// The thumbprint (RFC 7638 section 3): SHA-256 over the required members, in base64url.
    pub fn thumbprint(&self) -> String {
        // The members were kept in their lexicographic order; `serde_json` writes a map in the order of its names.
        let canonical = serde_json::to_vec(&self.jwk).expect("a map of strings is JSON");
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &canonical))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.keys.iter().map(|(algorithm, _)| algorithm).collect();
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("algorithms", &algorithms).finish()
    }
}

fn okp_key(x: &[u8]) -> Result<ParsedPublicKey, InvalidJwk> {
    if x.len() != 32 {
        return Err(InvalidJwk::Material);
    }
    ParsedPublicKey::new(&ED25519, x).map_err(|_| InvalidJwk::Material)
}

fn ec_key(x: &[u8], y: &[u8]) -> Result<ParsedPublicKey, InvalidJwk> {
    // A point has 65 bytes, so that `y` then has 32 as well.
    if x.len() != 32 {
        return Err(InvalidJwk::Material);
    }
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| InvalidJwk::Material)
}

fn rsa_key(n: &[u8], e: &[u8], parameters: &'static RsaParameters) -> Result<ParsedPublicKey, InvalidJwk> {
    let strong = (256..=1024).contains(&n.len()) && n[0] != 0 && (n.len() > 256 || n[0] >= 0x80);
    if !strong || n[n.len() - 1] & 1 == 0 || e != [1, 0, 1] {
        return Err(InvalidJwk::Material);
    }
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| InvalidJwk::Material)
}

/// The public keys of one issuer or client (RFC 7517 section 5).
#[derive(Debug, Default)]
pub struct KeySet(Vec<VerifyingKey>);

/// A document that is not a JWK set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a JWK set: a JSON object with `keys`, of at most 64 keys")]
pub struct InvalidKeySet;

impl KeySet {
    /// A set of the given keys, in this order.
    pub fn new(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }

    /// Reads a JWK set. Keys that can't be used here are skipped (RFC 7517 section 5).
    pub fn parse(document: &[u8]) -> Result<Self, InvalidKeySet> {
        Self::of(&json::parse_object(document).map_err(|_| InvalidKeySet)?)
    }

    /// The keys of a JWK set that was read already.
    pub(crate) fn of(document: &Map<String, Value>) -> Result<Self, InvalidKeySet> {
        let keys = document.get("keys").and_then(Value::as_array).filter(|keys| keys.len() <= 64);
        let keys = keys.ok_or(InvalidKeySet)?.iter().filter_map(Value::as_object);
        Ok(Self(keys.filter_map(|jwk| VerifyingKey::parse(jwk).ok()).collect()))
    }

    /// The key of this name.
    pub fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.kid.as_deref() == Some(kid))
    }

    /// The keys, in the order of the document.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// Whether there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A private key, parsed. Its `Debug` names it and nothing more.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A private key that can't be generated or read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the private key can't be generated or read")]
pub struct InvalidSigningKey;

impl SigningKey {
    /// A new key, RSA of 2048 bits. ECDSA and RSA draw on AWS-LC's own generator, since it takes no other.
    pub fn generate(kid: String, algorithm: Algorithm, rng: &dyn Rng) -> Result<Self, InvalidSigningKey> {
        let pair = match algorithm {
            Algorithm::EdDSA => {
                let seed = Zeroizing::new(random::bytes::<32>(rng));
                Ed25519KeyPair::from_seed_unchecked(&*seed).map(Pair::Ed).map_err(|_| InvalidSigningKey)
            }
            Algorithm::ES256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ec).map_err(|_| InvalidSigningKey)
            }
            Algorithm::PS256 | Algorithm::RS256 => {
                RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa).map_err(|_| InvalidSigningKey)
            }
        }?;
        Ok(Self { kid, algorithm, pair })
    }

    /// Reads a key from PKCS #8.
    pub fn from_pkcs8(kid: String, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, InvalidSigningKey> {
        let pair = match algorithm {
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed),
            Algorithm::ES256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Ec),
            Algorithm::PS256 | Algorithm::RS256 => RsaKeyPair::from_pkcs8(pkcs8).map(Pair::Rsa),
        };
        Ok(Self { kid, algorithm, pair: pair.map_err(|_| InvalidSigningKey)? })
    }

    /// The key in PKCS #8, to be sealed and stored.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, InvalidSigningKey> {
        let document = match &self.pair {
            Pair::Ec(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Ed(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'static>>::as_der(pair).map(|der| der.as_ref().to_vec()),
        };
        document.map(Zeroizing::new).map_err(|_| InvalidSigningKey)
    }

    /// The name by which tokens refer to the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature over `message`, in the form of JOSE.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, InvalidSigningKey> {
        // AWS-LC ignores the generator that its interface asks for.
        #[expect(clippy::disallowed_methods, reason = "ignored by aws-lc-rs, which uses its own")]
        let ignored = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&ignored, message).map(|signature| signature.as_ref().to_vec()),
            Pair::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match self.algorithm {
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &ignored, message, &mut signature).map(|()| signature)
            }
        };
        signature.map_err(|_| InvalidSigningKey)
    }

    /// The public half as a JWK, with `kid`, `alg` and `use`.
    pub fn public_jwk(&self) -> Map<String, Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
            Pair::Ec(pair) => {
                // An uncompressed point: 4, then x and y of 32 bytes (SEC 1 section 2.3.3).
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm.as_str().into();
        jwk["use"] = "sig".into();
        match jwk {
            Value::Object(jwk) => jwk,
            _ => unreachable!("made as an object above"),
        }
    }

    /// The public half, ready to verify.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::parse(&self.public_jwk()).expect("a key made here is one that verifies here")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.kid, self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// RFC 8037 appendix A.2.
    fn rfc8037_key() -> Map<String, Value> {
        object(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
    }

    const RFC7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        // RFC 7638 section 3.1.
        let rsa = object(json!({"kty": "RSA", "n": RFC7638_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}));
        let key = VerifyingKey::parse(&rsa).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 appendix A.3.
        let okp = VerifyingKey::parse(&rfc8037_key()).unwrap();
        assert_eq!(okp.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn each_algorithm_signs_what_its_public_half_verifies() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate("k1".into(), algorithm, &SeededRng::new(1)).unwrap();
            let again = SigningKey::from_pkcs8("k1".into(), algorithm, &key.to_pkcs8().unwrap()).unwrap();
            let signature = again.sign(b"message").unwrap();
            let public = key.verifying_key();
            assert!(public.verify(algorithm, b"message", &signature), "{algorithm}");
            assert!(!public.verify(algorithm, b"massage", &signature), "{algorithm}");
            for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                assert!(!public.verify(other, b"message", &signature), "{algorithm} as {other}");
            }
        }
    }

    #[test]
    fn a_signature_in_der_is_no_es256_signature() {
        let key = SigningKey::generate("k1".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap();
        let fixed = key.sign(b"message").unwrap();
        assert_eq!(fixed.len(), 64);
        let der = [&[0x30, 68, 2, 32], &fixed[..32], &[2, 32], &fixed[32..]].concat();
        assert!(!key.verifying_key().verify(Algorithm::ES256, b"message", &der));
    }

    #[test]
    fn symmetric_private_weak_and_mismatched_keys_are_refused() {
        let with = |name: &str, value: Value| {
            let mut jwk = rfc8037_key();
            jwk.insert(name.into(), value);
            VerifyingKey::parse(&jwk).unwrap_err()
        };
        assert_eq!(with("alg", "HS256".into()), InvalidJwk::Mismatch);
        assert_eq!(with("alg", "RS256".into()), InvalidJwk::Mismatch);
        assert_eq!(with("alg", 7.into()), InvalidJwk::Mismatch);
        assert_eq!(with("use", "enc".into()), InvalidJwk::Use);
        assert_eq!(with("key_ops", json!(["sign"])), InvalidJwk::Use);
        assert_eq!(with("d", "AA".into()), InvalidJwk::Private);
        assert_eq!(with("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp".into()), InvalidJwk::Material);
        assert_eq!(with("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into()), InvalidJwk::Material);
        assert_eq!(with("crv", "X25519".into()), InvalidJwk::Unsupported);
        let rsa = |n: &str, e: &str| VerifyingKey::parse(&object(json!({"kty": "RSA", "n": n, "e": e}))).unwrap_err();
        assert_eq!(rsa(&RFC7638_N[..171], "AQAB"), InvalidJwk::Material);
        assert_eq!(rsa(RFC7638_N, "Aw"), InvalidJwk::Material);
        let oct = object(json!({"kty": "oct", "k": "AA"}));
        assert_eq!(VerifyingKey::parse(&oct).unwrap_err(), InvalidJwk::Private);
        let off_curve = object(json!({"kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43)}));
        assert_eq!(VerifyingKey::parse(&off_curve).unwrap_err(), InvalidJwk::Material);
    }

    #[test]
    fn a_set_passes_over_what_it_can_t_use() {
        let mut named = rfc8037_key();
        named.insert("kid".into(), "a".into());
        let document = json!({"keys": [{"kty": "oct", "k": "AA"}, named]});
        let set = KeySet::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(set.iter().count(), 1);
        assert!(set.key("a").is_some() && set.key("b").is_none());
        assert_eq!(KeySet::parse(b"[]").unwrap_err(), InvalidKeySet);
    }

    #[test]
    fn an_ed25519_signature_whose_s_is_not_canonical_is_refused() {
        // The order of the group (RFC 8032 section 5.1), little-endian: S + L satisfies the same equation.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let key = SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(1)).unwrap();
        let mut signature = key.sign(b"message").unwrap();
        assert!(key.verifying_key().verify(Algorithm::EdDSA, b"message", &signature));
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!key.verifying_key().verify(Algorithm::EdDSA, b"message", &signature));
    }

    #[test]
    fn key_has_its_name_and_shows_nothing_else() {
        let key = SigningKey::generate("k1".into(), Algorithm::PS256, &SeededRng::new(1)).unwrap();
        assert_eq!(key.verifying_key().kid(), Some("k1"));
        assert_eq!(VerifyingKey::parse(&rfc8037_key()).unwrap().kid(), None);
        assert_eq!(format!("{key:?}"), "SigningKey(k1 PS256)");
        let public = format!("{:?}", key.verifying_key());
        assert_eq!(public, r#"VerifyingKey { kid: Some("k1"), algorithms: [PS256] }"#);
    }

    #[test]
    fn coordinates_have_32_bytes_each() {
        let key = SigningKey::generate("k1".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap().public_jwk();
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let point = [bytes("x"), bytes("y")].concat();
        let parse = |x: &[u8], y: &[u8]| {
            let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
            VerifyingKey::parse(&object(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})))
        };
        assert!(parse(&point[..32], &point[32..]).is_ok());
        for (x, y) in [
            (&point[..31], &point[31..]),
            (&point[..33], &point[33..]),
            (&point[..32], &point[32..63]),
            (&point[..32], &point[31..]),
        ] {
            assert_eq!(parse(x, y).unwrap_err(), InvalidJwk::Material, "{} and {}", x.len(), y.len());
        }
    }

    #[test]
    fn modulus_has_2048_bits_at_least_is_odd_and_in_shortest_form() {
        let parse = |n: &[u8]| {
            let n = URL_SAFE_NO_PAD.encode(n);
            VerifyingKey::parse(&object(json!({"kty": "RSA", "n": n, "e": "AQAB"})))
        };
        let n = URL_SAFE_NO_PAD.decode(RFC7638_N).unwrap();
        let with = |at: usize, byte: u8| {
            let mut n = n.clone();
            n[at] = byte;
            n
        };
        assert!(parse(&n).is_ok());
        assert!(parse(&[&[1], &n[..]].concat()).is_ok(), "2049 bits");
        for (n, why) in [
            ([&[0], &n[..]].concat(), "a leading zero"),
            (with(0, 0x7f), "2047 bits"),
            (n[1..].to_vec(), "255 bytes"),
            (with(255, n[255] & 0xfe), "even"),
            ([&n[..], &n, &n, &n, &n[..1], &[1]].concat(), "more than 8192 bits"),
        ] {
            assert_eq!(parse(&n).unwrap_err(), InvalidJwk::Material, "{why}");
        }
    }

    #[test]
    fn set_has_64_keys_at_most() {
        let set = |keys: usize| KeySet::parse(json!({"keys": vec![rfc8037_key(); keys]}).to_string().as_bytes());
        assert_eq!(set(64).unwrap().iter().count(), 64);
        assert_eq!(set(65).unwrap_err(), InvalidKeySet);
        assert!(set(0).unwrap().is_empty() && !set(1).unwrap().is_empty());
    }

    #[test]
    fn algorithms_read_back_and_ed25519_is_eddsa() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDSA));
        assert_eq!(Algorithm::parse("none"), None);
    }
}
