//! Messages of GitHub's secret scanning partner program: which keys were found in public, signed by GitHub.
//!
//! The signature is ECDSA P-256 with SHA-256 over the body, byte for byte, in DER and base64. GitHub publishes its public keys at
//! <https://api.github.com/meta/public_keys/secret_scanning>. Source: docs.github.com, "Secret scanning partner program".
//!
//! Easy to get wrong: the body is verified as it came, before it is parsed.

use std::collections::HashMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::{
    denial::Denial,
    json::{self, Value},
    refusal::Refusal,
};

/// The most keys in one message.
pub const MAX_ALERTS: usize = 20_000;

/// The public keys that GitHub publishes.
#[derive(Debug)]
pub struct PartnerKeys(HashMap<String, ParsedPublicKey>);

/// A document that has no public keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not the public keys that GitHub publishes: JSON with `public_keys`, each a `key_identifier` and a `key` of P-256 in PEM"
)]
pub struct InvalidPartnerKeys;

#[derive(Deserialize)]
struct Document {
    public_keys: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    key_identifier: String,
    key: String,
}

impl PartnerKeys {
    /// Parses the document that GitHub publishes.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidPartnerKeys> {
        let Document { public_keys } = json::parse_as(document).map_err(|_| InvalidPartnerKeys)?;
        let parse = |Published { key_identifier, key }| Some((key_identifier, public_key(&key)?));
        let keys: Option<HashMap<_, _>> = public_keys.into_iter().map(parse).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or(InvalidPartnerKeys)
    }

    /// Whether the key of this identifier is among them.
    pub fn has(&self, identifier: &str) -> bool {
        self.0.contains_key(identifier)
    }

    /// Verifies the signature of a message, and reads it.
    ///
    /// # Errors
    /// [`Denial::PartnerSignatureInvalid`] if GitHub did not sign the body, and [`Denial::BodyMalformed`] if it is no list
    /// of keys.
    pub fn verify(&self, identifier: &str, signature: &str, body: &[u8]) -> Result<Vec<PartnerAlert>, Refusal> {
        let invalid = |why| Refusal::new(Denial::PartnerSignatureInvalid).fact("why", why);
        let key = self.0.get(identifier).ok_or_else(|| invalid("the key identifier is unknown"))?;
        let signature = STANDARD.decode(signature).map_err(|_| invalid("the signature is no base64"))?;
        key.verify_sig(body, &signature).map_err(|_| invalid("the signature is wrong"))?;
        // Not as strict as with callers: what GitHub signed is taken as far as it can be read.
        let alerts: Vec<Value> = serde_json::from_slice(body).map_err(|_| Denial::BodyMalformed)?;
        match alerts.len() <= MAX_ALERTS {
            true => Ok(alerts.iter().filter_map(PartnerAlert::read).collect()),
            false => Err(Refusal::new(Denial::BodyMalformed).fact("alerts", "too many in one message")),
        }
    }
}

/// A P-256 public key in PEM (RFC 7468 13).
fn public_key(pem: &str) -> Option<ParsedPublicKey> {
    let base64 = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let der = STANDARD.decode(base64.split_ascii_whitespace().collect::<String>()).ok()?;
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der).ok()
}

/// A key that GitHub found.
pub struct PartnerAlert {
    /// The text that looks like a key.
    pub token: String,
    /// Where it was found; can be empty.
    pub url: String,
    /// In what kind of place.
    pub source: String,
}

impl PartnerAlert {
    /// Reads one of a message. `None` if it has no text that could be a key.
    fn read(alert: &Value) -> Option<Self> {
        let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        let token = text("token");
        (!token.is_empty()).then(|| Self { token, url: text("url"), source: text("source") })
    }

    /// Where the key was found: the URL, or else the kind of place.
    pub fn place(&self) -> &str {
        if self.url.is_empty() { &self.source } else { &self.url }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::AsDer,
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
    };

    use super::*;

    const BODY: &[u8] =
        br#"[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/repo/"}]"#;

    fn pair() -> (EcdsaKeyPair, PartnerKeys) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der = STANDARD.encode(pair.public_key().as_der().unwrap().as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &der[..64], &der[64..]);
        let document = serde_json::json!({"public_keys": [{"key_identifier": "one", "key": pem, "is_current": true}]});
        (pair, PartnerKeys::parse(document.to_string().as_bytes()).unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "ignored by aws-lc-rs, which uses its own")]
    fn sign(pair: &EcdsaKeyPair, body: &[u8]) -> Vec<u8> {
        pair.sign(&SystemRandom::new(), body).unwrap().as_ref().to_vec()
    }

    #[test]
    fn only_the_signed_body_is_read() {
        let (pair, keys) = pair();
        let signature = STANDARD.encode(sign(&pair, BODY));
        let alerts = keys.verify("one", &signature, BODY).unwrap();
        assert_eq!((alerts[0].token.as_str(), alerts[0].place()), ("some_token", "https://example.com/repo/"));
        let odd = br#"[1, {"token": null}, {"token": "a", "url": null, "type": 1, "id": 12345678901234567890}]"#;
        let signature_of_odd = STANDARD.encode(sign(&pair, odd));
        let alerts = keys.verify("one", &signature_of_odd, odd).unwrap();
        assert_eq!((alerts.len(), &*alerts[0].token, alerts[0].place()), (1, "a", ""));
        let with_space = [BODY, b" "].concat();
        for (identifier, signature, body) in [
            ("two", &*signature, BODY),
            ("one", "AAAA", BODY),
            ("one", "%", BODY),
            ("one", "", BODY),
            ("one", &*signature, &*with_space),
        ] {
            let refused = keys.verify(identifier, signature, body).err().unwrap();
            assert_eq!(refused.denial, Denial::PartnerSignatureInvalid, "{identifier} {signature}");
        }
    }
}
