//! The load: a thread for each kind of request, which asks one node after the other until one fulfils it, and writes
//! down what was acknowledged.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    browser::{AUTHORIZE, Browser, VERIFIER},
    faults,
    ledger::{Ledger, Tokens},
    site::{REDIRECT_URI, Target, text},
    tally::{Kind, NO_ANSWER, Tally},
};
use crate::support::{Answer, eventually, http};

pub(crate) const CODE: Kind = "code";
const CODE_TWICE: Kind = "code, twice at once";
const CREATE_KEY: Kind = "create a key (command)";
const REFRESH: Kind = "refresh";
const REFRESH_TWICE: Kind = "refresh, twice at once";
const REVOKE_KEY: Kind = "revoke a key (command)";
const REVOKE: Kind = "revoke a token";
pub(crate) const TOKEN: Kind = "token";
const VERIFY_KEY: Kind = "verify a key";

/// What is asked over HTTP, with the outcome of a success.
const OVER_HTTP: [(Kind, &str); 8] = [
    (TOKEN, "200"),
    (REVOKE, "200"),
    (REFRESH, "200"),
    (REFRESH_TWICE, "200"),
    (AUTHORIZE, "303"),
    (CODE, "200"),
    (CODE_TWICE, "200"),
    (VERIFY_KEY, "200"),
];

/// What must be written, and needs nothing before.
const WRITES: [Kind; 2] = [TOKEN, REFRESH];

/// The time between two requests of a thread: the outage is what slows requests down, not the load.
const PACE: Duration = Duration::from_millis(15);

/// A request to any node.
pub(crate) struct Request<'a> {
    pub(crate) kind: Kind,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

/// What the threads have in common.
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) tally: Tally,
    pub(crate) ledger: Ledger,
    is_over: AtomicBool,
    turn: AtomicUsize,
}

/// A load that runs.
pub(crate) struct Load {
    scenario: &'static str,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts it, and waits until requests of every kind are fulfilled.
    pub(crate) fn start(scenario: &'static str, target: &Target) -> Self {
        let shared = Arc::new(Shared {
            target: target.clone(),
            tally: Tally::default(),
            ledger: Ledger::default(),
            is_over: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        });
        shared.tally.begin("before");
        let works: [fn(&Arc<Shared>); 7] = [tokens, revocations, refreshes, refreshes_twice, codes, codes_twice, keys];
        let mut threads: Vec<_> = works
            .into_iter()
            .map(|work| {
                let shared = shared.clone();
                thread::spawn(move || work(&shared))
            })
            .collect();
        let verifier = shared.clone();
        threads.push(thread::spawn(move || verifications(&verifier)));
        let load = Self { scenario, shared, threads };
        load.until_fulfilled(10);
        load
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Begins a phase of the table.
    pub(crate) fn phase(&self, name: &str) {
        self.shared.tally.begin(name);
    }

    /// Waits until requests of every kind were fulfilled so often in this phase.
    pub(crate) fn until_fulfilled(&self, least: usize) {
        let tally = &self.shared.tally;
        for (kind, success) in OVER_HTTP {
            eventually(&format!("`{kind}` is answered {success}"), || tally.count(kind, success) >= least);
        }
        for kind in [CREATE_KEY, REVOKE_KEY] {
            eventually(&format!("`{kind}` is done"), || tally.count(kind, "exit 0") >= 1);
        }
    }

    /// Waits until what must be written was answered 503 so often in this phase. Does something in between.
    pub(crate) fn until_refused(&self, least: usize, mut between: impl FnMut()) {
        for kind in WRITES {
            eventually(&format!("`{kind}` is answered 503"), || {
                between();
                self.shared.tally.count(kind, "503") >= least
            });
        }
    }

    /// Ends the load, prints the table, and checks on a site that serves again that nothing was lost.
    pub(crate) fn finish(self) {
        let Shared { target, tally, ledger, .. } = &*self.end();
        let faults = ledger.faults(target);
        println!("  acknowledged: {}\n  {faults}\n", ledger.summary());
        assert!(faults.is_empty(), "{faults}");
        let unexpected = tally.outcomes(faults::is_unexpected);
        assert!(unexpected.is_empty(), "{unexpected:#?}");
    }

    /// Ends the load, and prints the table.
    pub(crate) fn end(self) -> Arc<Shared> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let is_whole = self.threads.into_iter().map(JoinHandle::join).all(|thread| thread.is_ok());
        println!("\n{}\n{}", self.scenario, self.shared.tally.table());
        assert!(is_whole, "a thread of the load ended");
        self.shared
    }
}

impl Shared {
    /// Asks the nodes in turn until one answers with something else than 503, and notes every answer.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Option<Answer> {
        let Request { kind, method, path, headers, body } = *request;
        let headers = [headers, &[("Content-Type", content_type(body))]].concat();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = None;
        for next in 0..self.target.urls.len() {
            let url = &self.target.urls[(first + next) % self.target.urls.len()];
            let begun = Instant::now();
            last = http(method, &format!("{url}{path}"), &headers, body);
            self.tally.note(kind, &outcome(last.as_ref()), begun.elapsed());
            if last.as_ref().is_some_and(|answer| answer.status < 500) {
                return last;
            }
        }
        self.tally.note_failed(kind);
        last
    }

    /// A request to `/token` of the client.
    fn token(&self, kind: Kind, body: &str) -> Option<Answer> {
        let headers = [("Authorization", &*self.target.client)];
        self.ask(&Request { kind, method: "POST", path: "/token", headers: &headers, body })
    }

    fn redeem(&self, kind: Kind, code: &str) -> Option<Answer> {
        let redirect = format!("redirect_uri={REDIRECT_URI}");
        self.token(kind, &format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&{redirect}"))
    }

    fn refresh(&self, kind: Kind, token: &str) -> Option<Answer> {
        self.token(kind, &format!("grant_type=refresh_token&refresh_token={token}"))
    }

    /// Redeems a code like a client that retries until it gets a yes or a refusal.
    fn tokens_of(&self, code: &str) -> Option<Tokens> {
        while !self.is_over() {
            let answer = self.redeem(CODE, code);
            if answer.as_ref().is_some_and(|answer| answer.status < 500) {
                return Tokens::of(answer);
            }
            thread::sleep(PACE);
        }
        None
    }

    /// The first tokens of a user.
    fn first_tokens(self: &Arc<Self>) -> Option<Tokens> {
        let code = Browser::signed_in(self).code().expect("a code");
        self.tokens_of(&code)
    }

    pub(crate) fn is_over(&self) -> bool {
        thread::sleep(PACE);
        self.is_over.load(Ordering::SeqCst)
    }
}

fn content_type(body: &str) -> &'static str {
    if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" }
}

/// The status, and what makes it other than it should be.
pub(crate) fn outcome(answer: Option<&Answer>) -> String {
    let Some(answer) = answer else { return NO_ANSWER.to_owned() };
    let mut outcome = answer.status.to_string();
    if answer.status == 503 && answer.headers("retry-after").next().is_none() {
        outcome.push_str(faults::WITHOUT_RETRY_AFTER);
    }
    if let Ok(body) = serde_json::from_str::<serde_json::Value>(&answer.body)
        && (answer.status == 400 || body["valid"] == false)
    {
        outcome.push_str(&format!(" {}", body["error"].as_str().or(body["code"].as_str()).unwrap_or_default()));
    }
    outcome
}

fn tokens(load: &Arc<Shared>) {
    while !load.is_over() {
        let answer = load.token(TOKEN, "grant_type=client_credentials&scope=things:read");
        if let Some(tokens) = Tokens::of(answer) {
            load.ledger.note_token(tokens.access);
        }
    }
}

fn revocations(load: &Arc<Shared>) {
    while !load.is_over() {
        let answer = load.token(TOKEN, "grant_type=client_credentials&scope=things:read");
        let Some(tokens) = Tokens::of(answer) else { continue };
        let headers = [("Authorization", &*load.target.client)];
        let body = format!("token={}", tokens.access);
        let request = Request { kind: REVOKE, method: "POST", path: "/revoke", headers: &headers, body: &body };
        while !load.is_over() {
            if load.ask(&request).is_some_and(|answer| answer.status == 200) {
                load.ledger.note_revoked_token(tokens.access);
                break;
            }
        }
    }
}

fn refreshes(load: &Arc<Shared>) {
    let Some(first) = load.first_tokens() else { return };
    let mut chain = load.ledger.begin_chain(first);
    while !load.is_over() {
        if let Some(tokens) = Tokens::of(load.refresh(REFRESH, &chain.live)) {
            load.ledger.note_rotation(&mut chain, tokens);
        }
    }
    load.ledger.end_chain(chain);
}

fn refreshes_twice(load: &Arc<Shared>) {
    let Some(first) = load.first_tokens() else { return };
    let mut chain = load.ledger.begin_chain(first);
    while !load.is_over() {
        let used = chain.live.clone();
        let refresh = || Tokens::of(load.refresh(REFRESH_TWICE, &used));
        let both = thread::scope(|scope| {
            let other = scope.spawn(refresh);
            [refresh(), other.join().expect("it ends")]
        });
        let successors: BTreeSet<_> = both.iter().flatten().map(|tokens| tokens.refresh.clone()).collect();
        if successors.len() > 1 {
            load.ledger.note_doubled("a refresh token gave two successors");
        }
        if let Some(tokens) = both.into_iter().flatten().next() {
            load.ledger.note_rotation(&mut chain, tokens);
        }
    }
    load.ledger.end_chain(chain);
}

fn codes(load: &Arc<Shared>) {
    let mut browser = Browser::signed_in(load);
    while !load.is_over() {
        let Some(code) = browser.code() else { continue };
        if let Some(tokens) = load.tokens_of(&code) {
            load.ledger.note_code(code, tokens);
        }
    }
}

/// The second redemption of a code ends what the first one gave, so there is nothing to check of that afterwards.
fn codes_twice(load: &Arc<Shared>) {
    let mut browser = Browser::signed_in(load);
    while !load.is_over() {
        let Some(code) = browser.code() else { continue };
        let redeem = || Tokens::of(load.redeem(CODE_TWICE, &code));
        let both = thread::scope(|scope| {
            let other = scope.spawn(redeem);
            [redeem(), other.join().expect("it ends")]
        });
        if both.iter().all(Option::is_some) {
            load.ledger.note_doubled("a code was redeemed by two requests at once");
        }
    }
}

/// Commands beside the server: each second key is revoked again.
fn keys(load: &Arc<Shared>) {
    let run = |kind, arguments: &[&str]| {
        let begun = Instant::now();
        let output = load.target.command(&[arguments, &["--json"]].concat());
        let code = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
        load.tally.note(kind, &format!("exit {code}"), begun.elapsed());
        output.status.success().then_some(output.stdout)
    };
    for turn in 0_usize.. {
        if load.is_over() {
            return;
        }
        let create = ["key", "create", "--name", "k", "--api", "things", "--scope", "things:read"];
        let Some(key) = run(CREATE_KEY, &create) else { continue };
        let key: serde_json::Value = serde_json::from_slice(&key).expect("JSON");
        let secret = text(&key, "secret");
        match turn % 2 {
            0 => load.ledger.note_key(secret),
            // One that was not acknowledged may be in either state.
            _ if run(REVOKE_KEY, &["key", "revoke", &text(&key, "id")]).is_some() => {
                load.ledger.note_revoked_key(secret);
            }
            _ => {}
        }
        // A command costs much more than a request.
        thread::sleep(10 * PACE);
    }
}

fn verifications(load: &Arc<Shared>) {
    for turn in 0.. {
        if load.is_over() {
            return;
        }
        let Some(key) = load.ledger.key(turn) else { continue };
        let body = format!(r#"{{"key":"{key}"}}"#);
        let headers = [("Authorization", &*load.target.api)];
        let path = "/v1/keys/verify";
        load.ask(&Request { kind: VERIFY_KEY, method: "POST", path, headers: &headers, body: &body });
    }
}
