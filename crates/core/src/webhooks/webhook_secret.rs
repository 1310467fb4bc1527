//! Signing a message (Standard Webhooks 1.0.0, "Signature scheme"): HMAC-SHA-256 over `id.timestamp.payload`, as `v1,` and
//! base64.
//!
//! Easy to get wrong: the timestamp is that of the attempt and not that of the event, since receivers refuse what is older
//! than a few minutes. And the payload is signed as the bytes that are sent.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    random::{self, Rng},
    secret::SecretString,
};

/// What every secret of a webhook begins with.
pub const PREFIX: &str = "whsec_";

/// The secret that signs what is sent to an endpoint.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

/// Bytes that are not the secret of a webhook.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the secret of a webhook has 24 to 64 bytes")]
pub struct InvalidWebhookSecret;

impl WebhookSecret {
    /// A new secret of 32 bytes.
    pub fn generate(rng: &dyn Rng) -> Self {
        Self(Zeroizing::new(random::bytes::<32>(rng).to_vec()))
    }

    /// From the bytes that were sealed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidWebhookSecret> {
        match (24..=64).contains(&bytes.len()) {
            true => Ok(Self(Zeroizing::new(bytes.to_vec()))),
            false => Err(InvalidWebhookSecret),
        }
    }

    /// The bytes, to be sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as its receiver needs it: `whsec_` and base64.
    pub fn reveal(&self) -> SecretString {
        format!("{PREFIX}{}", STANDARD.encode(&*self.0)).into()
    }

    /// The signature of one attempt to send a message.
    fn sign(&self, id: &str, attempt_at: Timestamp, payload: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{}.", attempt_at.as_secs()).as_bytes());
        context.update(payload);
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }
}

/// The header `webhook-signature` of one attempt: a signature of each secret, so that a receiver may know the old or the
/// new one while they change.
pub fn signatures<'a>(
    secrets: impl IntoIterator<Item = &'a WebhookSecret>,
    id: &str,
    attempt_at: Timestamp,
    payload: &[u8],
) -> String {
    let signatures: Vec<_> = secrets.into_iter().map(|secret| secret.sign(id, attempt_at, payload)).collect();
    signatures.join(" ")
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{random::SeededRng, secret::ExposeSecret};

    fn secret(base64: &str) -> WebhookSecret {
        WebhookSecret::from_bytes(&STANDARD.decode(base64).unwrap()).unwrap()
    }

    /// The vector of the reference libraries of Standard Webhooks.
    #[test]
    fn signature_is_that_of_the_reference_libraries() {
        let secret = secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_millis(1_614_265_330_999);
        let payload = br#"{"test": 2432232314}"#;
        let header = signatures([&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, payload);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_give_two_signatures() {
        let rng = SeededRng::new(1);
        let (new, old) = (WebhookSecret::generate(&rng), WebhookSecret::generate(&rng));
        let at = Timestamp::from_secs(1);
        let header = signatures([&new, &old], "evt_1", at, b"{}");
        let alone = |secret| signatures([secret], "evt_1", at, b"{}");
        assert_eq!(header, format!("{} {}", alone(&new), alone(&old)));
        assert_ne!(alone(&new), alone(&old));
    }

    #[test]
    fn id_time_and_payload_are_signed() {
        let secret = WebhookSecret::generate(&SeededRng::new(1));
        let sign = |id, secs, payload: &[u8]| secret.sign(id, Timestamp::from_secs(secs), payload);
        let signed = sign("evt_1", 1, b"{}");
        assert_eq!(signed, sign("evt_1", 1, b"{}"));
        for other in [sign("evt_2", 1, b"{}"), sign("evt_1", 2, b"{}"), sign("evt_1", 1, b"{ }")] {
            assert_ne!(signed, other);
        }
    }

    #[test]
    fn secret_is_shown_as_receivers_need_it_and_not_by_debug() {
        let secret = WebhookSecret::generate(&SeededRng::new(1));
        let shown = secret.reveal();
        let base64 = shown.expose_secret().strip_prefix(PREFIX).unwrap();
        assert_eq!(STANDARD.decode(base64).unwrap(), secret.as_bytes());
        assert_eq!(secret.as_bytes().len(), 32);
        assert!(!format!("{secret:?}").contains(base64));
        for length in [0, 23, 65] {
            assert!(WebhookSecret::from_bytes(&vec![1; length]).is_err(), "{length}");
        }
    }
}
