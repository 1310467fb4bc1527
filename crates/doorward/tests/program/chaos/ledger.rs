//! What the server acknowledged, to be compared afterwards with what it knows.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use super::{
    browser::VERIFIER,
    faults::Faults,
    site::{REDIRECT_URI, Target, text},
};
use crate::support::{Answer, eventually, http};

/// An answer of `/token`.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// Empty where there is none.
    pub(crate) refresh: String,
}

impl Tokens {
    /// Those of a success.
    pub(crate) fn of(answer: Option<Answer>) -> Option<Self> {
        let answer = answer.filter(|answer| answer.status == 200)?.json();
        let refresh = answer["refresh_token"].as_str().unwrap_or_default().to_owned();
        Some(Self { access: text(&answer, "access_token"), refresh })
    }
}

/// Refresh tokens that followed each other.
pub(crate) struct Chain {
    pub(crate) live: String,
    access: String,
    /// The last ones that were used, the newest last.
    used: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    /// Tokens that are issued by a wrong clock are good when that clock is right; there is no promise for them.
    is_by_a_wrong_clock: AtomicBool,
}

#[derive(Default)]
struct Entries {
    tokens: Vec<String>,
    revoked_tokens: Vec<String>,
    chains: Vec<Chain>,
    rotations: usize,
    codes: Vec<(String, Tokens)>,
    keys: Vec<String>,
    revoked_keys: Vec<String>,
    by_a_wrong_clock: usize,
    doubled: Vec<String>,
}

impl Ledger {
    pub(crate) fn note_token(&self, token: String) {
        let mut entries = self.lock();
        match self.is_by_a_wrong_clock.load(Ordering::SeqCst) {
            true => entries.by_a_wrong_clock += 1,
            false => entries.tokens.push(token),
        }
    }

    pub(crate) fn note_revoked_token(&self, token: String) {
        self.lock().revoked_tokens.push(token);
    }

    pub(crate) fn begin_chain(&self, tokens: Tokens) -> Chain {
        Chain { live: tokens.refresh, access: tokens.access, used: Vec::new() }
    }

    pub(crate) fn note_rotation(&self, chain: &mut Chain, tokens: Tokens) {
        self.lock().rotations += 1;
        chain.access = tokens.access;
        chain.used.push(std::mem::replace(&mut chain.live, tokens.refresh));
        let surplus = chain.used.len().saturating_sub(2);
        chain.used.drain(..surplus);
    }

    pub(crate) fn end_chain(&self, chain: Chain) {
        self.lock().chains.push(chain);
    }

    pub(crate) fn note_code(&self, code: String, tokens: Tokens) {
        let mut entries = self.lock();
        match self.is_by_a_wrong_clock.load(Ordering::SeqCst) {
            true => entries.by_a_wrong_clock += 1,
            false => entries.codes.push((code, tokens)),
        }
    }

    pub(crate) fn note_key(&self, key: String) {
        self.lock().keys.push(key);
    }

    pub(crate) fn note_revoked_key(&self, key: String) {
        self.lock().revoked_keys.push(key);
    }

    pub(crate) fn note_doubled(&self, what: &str) {
        self.lock().doubled.push(what.to_owned());
    }

    /// What is acknowledged from now on comes from a clock that is wrong, or right again.
    pub(crate) fn doubt_the_clock(&self, is_wrong: bool) {
        self.is_by_a_wrong_clock.store(is_wrong, Ordering::SeqCst);
    }

    /// The keys that were acknowledged and not revoked.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().keys.clone()
    }

    pub(crate) fn key(&self, turn: usize) -> Option<String> {
        let entries = self.lock();
        let count = entries.keys.len().max(1);
        entries.keys.get(turn % count).cloned()
    }

    pub(crate) fn summary(&self) -> String {
        let entries = self.lock();
        let [tokens, revoked, codes, keys, revoked_keys] = [
            entries.tokens.len(),
            entries.revoked_tokens.len(),
            entries.codes.len(),
            entries.keys.len(),
            entries.revoked_keys.len(),
        ];
        let mut summary = format!(
            "{tokens} tokens, {revoked} revocations of tokens, {} rotations, {codes} codes, {keys} keys, {revoked_keys} \
             revocations of keys",
            entries.rotations
        );
        if entries.by_a_wrong_clock > 0 {
            summary.push_str(&format!(", and {} tokens and codes by the wrong clock", entries.by_a_wrong_clock));
        }
        summary
    }

    /// Compares with what the server knows. Ends what it checks, since the second use of a code or of an old refresh
    /// token revokes.
    pub(crate) fn faults(&self, target: &Target) -> Faults {
        let entries = self.lock();
        let server = Server { target };
        let mut faults = Faults { lost: Vec::new(), doubled: entries.doubled.clone() };
        let mut lost = |what: &str, is_lost: bool| {
            if is_lost {
                faults.lost.push(what.to_owned());
            }
        };
        for token in &entries.tokens {
            lost("a token is not active", !server.is_active(token));
        }
        for token in &entries.revoked_tokens {
            lost("a revoked token is active", server.is_active(token));
        }
        for key in &entries.keys {
            lost("a key is not good", server.verdict(key) != "valid");
        }
        for key in &entries.revoked_keys {
            lost("a revoked key is not refused as such", server.verdict(key) != "key_revoked");
        }
        for chain in &entries.chains {
            lost("the token of the last rotation is not active", !server.is_active(&chain.access));
            lost("the refresh token of the last rotation does not work", !server.refreshes(&chain.live));
        }
        for (_, tokens) in &entries.codes {
            lost("the token of a code is not active", !server.is_active(&tokens.access));
            lost("the refresh token of a code does not work", !server.refreshes(&tokens.refresh));
        }
        for chain in &entries.chains {
            // Two generations back: the one before may be repeated by a client that lost the answer.
            if chain.used.len() > 1 && server.refreshes(&chain.used[0]) {
                faults.doubled.push("a refresh token worked after its successor was used".to_owned());
            }
        }
        for (code, _) in &entries.codes {
            if server.redeems(code) {
                faults.doubled.push("a code was redeemed again".to_owned());
            }
        }
        faults
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server says of a key.
pub(crate) fn verdict(target: &Target, key: &str) -> String {
    Server { target }.verdict(key)
}

/// A server that answers again.
struct Server<'a> {
    target: &'a Target,
}

impl Server<'_> {
    fn is_active(&self, token: &str) -> bool {
        self.post("/introspect", &self.target.api, &format!("token={token}")).json()["active"] == true
    }

    fn verdict(&self, key: &str) -> String {
        let verdict: Value = self.post("/v1/keys/verify", &self.target.api, &format!(r#"{{"key":"{key}"}}"#)).json();
        text(&verdict, "code")
    }

    fn refreshes(&self, token: &str) -> bool {
        let body = format!("grant_type=refresh_token&refresh_token={token}");
        self.post("/token", &self.target.client, &body).status == 200
    }

    fn redeems(&self, code: &str) -> bool {
        let body =
            format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&redirect_uri={REDIRECT_URI}");
        self.post("/token", &self.target.client, &body).status == 200
    }

    /// A decided answer. What is unavailable for a moment decides nothing.
    fn post(&self, path: &str, authorization: &str, body: &str) -> Answer {
        let form = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let headers = [("Authorization", authorization), ("Content-Type", form)];
        let url = format!("{}{path}", self.target.urls[0]);
        let mut decided = None;
        eventually("the server answers again", || {
            decided = http("POST", &url, &headers, body).filter(|answer| answer.status < 500);
            decided.is_some()
        });
        decided.expect("it was waited for")
    }
}
