//! Proof Key for Code Exchange (RFC 7636), S256 alone and for every client.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{digest::Digest, secret::constant_time_eq};

/// The one method: `BASE64URL(SHA256(ASCII(code_verifier)))`.
pub const METHOD: &str = "S256";

/// An S256 challenge: 32 bytes in base64url.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeChallenge(String);

/// A text that is no S256 challenge.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a code_challenge is 43 characters of base64url")]
pub struct InvalidChallenge;

impl CodeChallenge {
    /// Parses a challenge of the method S256.
    pub fn parse(text: &str) -> Result<Self, InvalidChallenge> {
        let is_digest = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        is_digest.then(|| Self(text.to_owned())).ok_or(InvalidChallenge)
    }

    /// Whether the challenge was computed from `verifier`. A verifier outside the grammar of RFC 7636 section 4.1 (43
    /// to 128 unreserved characters) matches nothing.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let in_grammar = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        let challenge = URL_SAFE_NO_PAD.encode(Digest::sha256(verifier.as_bytes()).as_bytes());
        in_grammar && constant_time_eq(challenge.as_bytes(), self.0.as_bytes())
    }

    /// The challenge as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = InvalidChallenge;
    fn try_from(text: String) -> Result<Self, InvalidChallenge> {
        Self::parse(&text)
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        challenge.0
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_fits() {
        // RFC 7636 appendix B.
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"));
        assert!(!challenge.is_met_by(""));
    }

    #[test]
    fn a_plain_challenge_is_no_s256_challenge() {
        for bad in ["", "short", &"a".repeat(44), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="] {
            assert_eq!(CodeChallenge::parse(bad), Err(InvalidChallenge), "{bad}");
        }
    }

    #[test]
    fn a_verifier_outside_the_grammar_fits_nothing() {
        let verifier = "x".repeat(42);
        let digest = Digest::sha256(verifier.as_bytes());
        let challenge = CodeChallenge::parse(&URL_SAFE_NO_PAD.encode(digest.as_bytes())).unwrap();
        assert!(!challenge.is_met_by(&verifier));
    }

    #[test]
    fn verifier_has_43_to_128_unreserved_characters() {
        let is_met = |verifier: &str| {
            let digest = Digest::sha256(verifier.as_bytes());
            CodeChallenge::parse(&URL_SAFE_NO_PAD.encode(digest.as_bytes())).unwrap().is_met_by(verifier)
        };
        for good in ["x".repeat(43), "x".repeat(128), "-._~".repeat(11)] {
            assert!(is_met(&good), "{good}");
        }
        for bad in ["x".repeat(129), "x ".repeat(30), "x+".repeat(30)] {
            assert!(!is_met(&bad), "{bad}");
        }
    }

    #[test]
    fn challenge_is_written_as_text_and_reads_back() {
        let text = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let challenge = CodeChallenge::parse(text).unwrap();
        assert_eq!((challenge.as_str(), format!("{challenge:?}")), (text, text.to_owned()));
        let written = serde_json::to_string(&challenge).unwrap();
        assert_eq!(serde_json::from_str::<CodeChallenge>(&written).unwrap(), challenge);
        assert_eq!(serde_json::from_str::<CodeChallenge>("\"short\"").ok(), None);
    }
}
