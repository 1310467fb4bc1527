//! What the app remembers between its request and the answer: in a cookie of the browser that asked, one for each
//! request, so that two tabs don't disturb each other.
//!
//! That the browser has the cookie that `state` names is the proof that the answer belongs to it (RFC 6749 section
//! 10.12). `Lax`, since the answer comes by a navigation from another site.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{checksummed::random_text, digest::Digest, random::Rng, secret::ExposeSecret};

const PREFIX: &str = "notes_sign_in_";
const LENGTH: usize = 43;
/// How long a person may take, in seconds.
const LIFETIME: u32 = 600;

/// One authorization request under way.
pub(crate) struct Pending {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) code_verifier: String,
}

impl Pending {
    pub(crate) fn new(rng: &Arc<dyn Rng>) -> Self {
        let text = || random_text(LENGTH, &**rng).expose_secret().to_owned();
        Self { state: text(), nonce: text(), code_verifier: text() }
    }

    /// The S256 challenge (RFC 7636 section 4.2).
    pub(crate) fn code_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Digest::sha256(self.code_verifier.as_bytes()).as_bytes())
    }

    /// The request that `state` names, if this browser made it.
    pub(crate) fn find(headers: &HeaderMap, state: &str) -> Option<Self> {
        let is_ours = |text: &str| text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_ours(state) {
            return None;
        }
        let value = cookie(headers, &format!("{PREFIX}{state}"))?;
        let (nonce, code_verifier) =
            value.split_once('.').filter(|(nonce, verifier)| is_ours(nonce) && is_ours(verifier))?;
        Some(Self { state: state.into(), nonce: nonce.into(), code_verifier: code_verifier.into() })
    }

    /// Remembers the request.
    pub(crate) fn remember(&self, https: bool) -> HeaderValue {
        set_cookie(
            &format!("{PREFIX}{}", self.state),
            &format!("{}.{}", self.nonce, self.code_verifier),
            LIFETIME,
            https,
        )
    }

    /// Forgets it: an answer counts once.
    pub(crate) fn forget(&self, https: bool) -> HeaderValue {
        set_cookie(&format!("{PREFIX}{}", self.state), "", 0, https)
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    doorward_core::cookie::values(headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes), name).next()
}

/// A cookie that scripts can't read, for `seconds`.
pub(crate) fn set_cookie(name: &str, value: &str, seconds: u32, https: bool) -> HeaderValue {
    let secure = if https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).expect("names and values are base62 and punctuation")
}

#[cfg(test)]
mod tests {
    use doorward_core::{pkce::CodeChallenge, random::SeededRng};

    use super::*;

    fn sent_back(pending: &Pending) -> HeaderMap {
        let set = pending.remember(false);
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_bytes(format!("a=José; {pair}").as_bytes()).unwrap())])
    }

    #[test]
    fn a_request_is_found_again_by_the_browser_that_made_it() {
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(1));
        let (mine, other) = (Pending::new(&rng), Pending::new(&rng));
        let found = Pending::find(&sent_back(&mine), &mine.state).unwrap();
        assert_eq!((found.nonce, &found.code_verifier), (mine.nonce.clone(), &mine.code_verifier));
        assert!(Pending::find(&sent_back(&other), &mine.state).is_none());
        assert!(Pending::find(&sent_back(&mine), "").is_none());
    }

    #[test]
    fn the_challenge_is_met_by_the_verifier() {
        let pending = Pending::new(&(Arc::new(SeededRng::new(1)) as Arc<dyn Rng>));
        assert!(CodeChallenge::parse(&pending.code_challenge()).unwrap().is_met_by(&pending.code_verifier));
    }
}
