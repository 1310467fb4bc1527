//! JWTs as a client looks at them, and as a forger makes them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// The header of a JWT, unverified.
#[track_caller]
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a JWT, unverified.
#[track_caller]
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// A token of any header, any claims and any signature.
pub(crate) fn token(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()), part(signature))
}

#[track_caller]
fn part(token: &str, at: usize) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token} is no JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap()
}
