//! A browser with a user who signs in and allows everything, until a client has its code (OAuth 2.1 section 4.1).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    load::{self, Request},
    site::{PASSWORD, REDIRECT_URI, USER},
    tally::Kind,
};
use crate::support::Answer;

/// The pair of RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) const AUTHORIZE: Kind = "authorize";
pub(crate) const SIGN_IN: Kind = "sign in";

pub(crate) struct Browser {
    load: Arc<load::Shared>,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser whose user signs in and allows everything.
    pub(crate) fn signed_in(load: &Arc<load::Shared>) -> Self {
        let mut browser = Self { load: load.clone(), cookies: BTreeMap::new() };
        let mut answer = browser.authorize(SIGN_IN).expect("an answer");
        // Sign-in, consent and the redirects between them; more is a loop.
        for _ in 0..8 {
            let location = answer.headers("location").next().map(str::to_owned);
            answer = match location {
                Some(path) if path.starts_with('/') => browser.send(SIGN_IN, "GET", &path, "").expect("an answer"),
                Some(_) => return browser,
                None => browser.fill_in(&answer.body),
            };
        }
        panic!("signing in took too many redirects and forms");
    }

    /// A code for the client, if the server gives one at once: the user is signed in and has allowed everything.
    pub(crate) fn code(&mut self) -> Option<String> {
        let answer = self.authorize(AUTHORIZE)?;
        let location = answer.headers("location").next()?;
        Some(between(location.strip_prefix(REDIRECT_URI)?, "code=", "&")?.to_owned())
    }

    fn authorize(&mut self, kind: Kind) -> Option<Answer> {
        let path = format!(
            "/authorize?response_type=code&code_challenge_method=S256&code_challenge={CHALLENGE}&state=s\
             &scope=things:read&client_id={}&redirect_uri={REDIRECT_URI}",
            self.load.target.client_id
        );
        self.send(kind, "GET", &path, "")
    }

    fn fill_in(&mut self, page: &str) -> Answer {
        let (_, form) = page.split_once("<form ").unwrap_or_else(|| panic!("no form is in {page}"));
        let value = |before: &str| between(form, before, "\"").unwrap_or_else(|| panic!("no {before} is in {form}"));
        let mut body = format!("csrf={}", value(r#"name="csrf" value=""#));
        if form.contains(r#"id="password""#) {
            body.push_str(&format!("&username={USER}&password={}", PASSWORD.replace(' ', "+")));
        } else {
            let boxes = form.split(r#"<input type="checkbox""#).skip(1);
            for scope in boxes.filter_map(|rest| between(rest, r#"value=""#, "\"")) {
                body.push_str(&format!("&scope={scope}"));
            }
            body.push_str("&decision=allow");
        }
        self.send(SIGN_IN, "POST", value(r#"action=""#), &body).expect("an answer")
    }

    fn send(&mut self, kind: Kind, method: &str, path: &str, body: &str) -> Option<Answer> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let answer = self.load.ask(&Request { kind, method, path, headers: &[("Cookie", &cookies)], body })?;
        for cookie in answer.headers("set-cookie") {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            self.cookies.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Some(answer)
    }
}

/// What follows `before`, up to `after` or the end.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split(after).next()
}
