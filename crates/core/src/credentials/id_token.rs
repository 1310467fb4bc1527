//! id_tokens (OpenID Connect Core section 2): who signed in, for the client alone.

use serde::Serialize;

use crate::{
    access_token::{as_secs, optional_as_secs},
    clock::Timestamp,
    jwk::{InvalidSigningKey, SigningKey},
    jws,
};

/// `typ` of an id_token: never that of an access token (RFC 8725 section 3.11).
pub const TYPE: &str = "JWT";

/// What a new id_token says.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// The issuer.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The user.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The client.
    #[serde(rename = "aud")]
    pub audience: String,
    /// When it ends.
    #[serde(rename = "exp", serialize_with = "as_secs")]
    pub expires_at: Timestamp,
    /// When it was made.
    #[serde(rename = "iat", serialize_with = "as_secs")]
    pub issued_at: Timestamp,
    /// When the user signed in.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_as_secs")]
    pub auth_time: Option<Timestamp>,
    /// What the client sent, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The first half of the SHA-256 of the access token (section 3.1.3.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// The session at the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

/// Claims about a user (OpenID Connect Core section 5.1), as far as the granted scopes permit.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct UserClaims {
    /// `profile`: the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `profile`: the user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// `email`: the mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `email`: whether it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl Claims {
    /// The token, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, InvalidSigningKey> {
        let payload = serde_json::to_vec(self).map_err(|_| InvalidSigningKey)?;
        jws::sign(key, TYPE, &payload)
    }
}

/// `at_hash` for an access token, for algorithms on SHA-256. EdDSA on Ed25519 hashes with SHA-512 inside
/// (RFC 8032 section 5.1), and clients take that for `at_hash` too.
pub fn at_hash(access_token: &str, algorithm: crate::jwk::Algorithm) -> String {
    use aws_lc_rs::digest::{SHA256, SHA512, digest};
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let hash = match algorithm {
        crate::jwk::Algorithm::EdDSA => &SHA512,
        _ => &SHA256,
    };
    let digest = digest(hash, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::Algorithm;

    #[test]
    fn at_hash_is_that_of_openid_connect_core() {
        // OpenID Connect Core appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(token, Algorithm::RS256), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
