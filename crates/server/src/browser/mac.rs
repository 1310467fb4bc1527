//! Proof that this server wrote a text that a browser sends back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{digest::KeyedDigest, secret::constant_time_eq};

use crate::app::App;

/// The MAC of a text, by the pepper in use. The text begins with what it is for, so that no MAC serves two purposes.
pub(super) fn of(app: &App, text: &str) -> String {
    encoded(&app.peppers.digest(text))
}

/// Whether `mac` is the MAC of this text under any of the kept peppers; compared in constant time.
pub(super) fn is_of(app: &App, text: &str, mac: &str) -> bool {
    app.candidates(text).iter().any(|candidate| constant_time_eq(encoded(candidate).as_bytes(), mac.as_bytes()))
}

fn encoded(digest: &KeyedDigest) -> String {
    URL_SAFE_NO_PAD.encode(digest.digest.as_bytes())
}
