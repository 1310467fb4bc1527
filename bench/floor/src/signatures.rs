//! The signatures of access tokens (RFC 7518 section 3, RFC 8037) by aws-lc-rs, and nothing around them.
//!
//! Keys are parsed once, as a server does. Easy to get wrong: looking at the clock after each signature would measure
//! the clock as well.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};

/// Header and claims of an access token have about this many bytes.
const MESSAGE: [u8; 480] = [b'm'; 480];

/// Signs and verifies with each algorithm for a share of `time`, and prints microseconds an operation.
pub(crate) fn measure(time: Duration) -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "nothing here is repeated by a test")]
    let rng = SystemRandom::new();
    let share = time / 6;

    let ed25519 = Ed25519KeyPair::generate()?;
    let eddsa = || ed25519.sign(&MESSAGE).as_ref().to_vec();
    let eddsa_public = ParsedPublicKey::new(&ED25519, ed25519.public_key().as_ref())?;

    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let es256 = || p256.sign(&rng, &MESSAGE).expect("a P-256 key signs everything").as_ref().to_vec();
    let es256_public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, p256.public_key().as_ref())?;

    let rsa = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let rs256 = || {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &rng, &MESSAGE, &mut signature).expect("the signature has the modulus' length");
        signature
    };
    let rs256_public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref())?;

    let both = |sign: &dyn Fn() -> Vec<u8>, public: &ParsedPublicKey| {
        let signature = sign();
        let verify = || public.verify_sig(&MESSAGE, &signature).expect("the signature is by this key");
        serde_json::json!({ "sign_us": micros(share, sign), "verify_us": micros(share, verify) })
    };
    let figures = serde_json::json!({
        "EdDSA": both(&eddsa, &eddsa_public),
        "ES256": both(&es256, &es256_public),
        "RS256": both(&rs256, &rs256_public),
    });
    println!("{figures}");
    Ok(())
}

/// Microseconds that one call takes, over about `time`.
fn micros<T>(time: Duration, call: impl Fn() -> T) -> f64 {
    const BATCH: u32 = 50;
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < time {
        for _ in 0..BATCH {
            black_box(call());
        }
        calls += BATCH;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}
