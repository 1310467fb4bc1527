//! A user's way to refresh tokens: the pages and the code (OAuth 2.1 section 4.1), as a browser and a client go it.
//!
//! The session and the remembered consent reduce the second time to two requests, so hundreds of tokens take a moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ureq::http::request::Builder;

use super::http::{self, Answer, FORM};
use super::scene::{Client, Tokens};

/// A browser that keeps its cookies, with a user who signs in and allows everything.
pub(super) struct Browser<'a> {
    port: u16,
    username: &'a str,
    password: &'a str,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    pub(super) fn new(port: u16, username: &'a str, password: &'a str) -> Self {
        Self { port, username, password, cookies: BTreeMap::new() }
    }

    /// One refresh token of its own family.
    pub(super) fn refresh_token(&mut self, client: &Client, redirect_uri: &str, scope: &str) -> Result<String> {
        let request = [("client_id", &*client.client_id), ("redirect_uri", redirect_uri), ("scope", scope)];
        let code = self.code(&format!("/authorize?{CODE_AND_CHALLENGE}&{}", http::form(&request)), redirect_uri)?;
        let redemption = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", redirect_uri),
        ];
        Ok(http::succeed::<Tokens>(&client.post(self.port, "/token", &redemption)?)?.refresh_token)
    }

    /// Signs in with a wrong name or password, and returns how long the answer took.
    pub(super) fn fail_to_sign_in(&mut self) -> Result<Duration> {
        let page = self.send(http::get(self.port, "/sign-in"), String::new())?;
        let start = Instant::now();
        let answer = self.fill_in(page.body())?;
        let time = start.elapsed();
        ensure!(answer.status() == 401, "signing in was answered {answer:?}");
        Ok(time)
    }

    /// Follows redirects and fills in forms until the client gets its code.
    fn code(&mut self, path: &str, redirect_uri: &str) -> Result<String> {
        let mut answer = self.send(http::get(self.port, path), String::new())?;
        // More redirects and forms are a loop.
        for _ in 0..12 {
            answer = match answer.headers().get("location").map(|location| location.to_str()).transpose()? {
                Some(path) if path.starts_with('/') => self.send(http::get(self.port, path), String::new())?,
                Some(location) => {
                    let code = location.strip_prefix(redirect_uri).and_then(|rest| between(rest, "code=", "&"));
                    return code.map(str::to_owned).with_context(|| format!("no code is in {location}"));
                }
                None => self.fill_in(answer.body())?,
            };
        }
        bail!("signing in took too many redirects and forms")
    }

    /// Signs in, or allows everything that is requested.
    fn fill_in(&mut self, page: &str) -> Result<Answer> {
        let (_, form) = page.split_once("<form ").with_context(|| format!("no form is in {page}"))?;
        let value = |before: &str| between(form, before, "\"").with_context(|| format!("no {before} is in {form}"));
        let mut fields = vec![("csrf", value(r#"name="csrf" value=""#)?)];
        if form.contains(r#"id="password""#) {
            fields.extend([("username", self.username), ("password", self.password)]);
        } else {
            let boxes = form.split(r#"<input type="checkbox""#).skip(1);
            fields.extend(boxes.filter_map(|rest| Some(("scope", between(rest, r#"value=""#, "\"")?))));
            fields.push(("decision", "allow"));
        }
        self.send(http::post(self.port, value(r#"action=""#)?, FORM), http::form(&fields))
    }

    fn send(&mut self, request: Builder, body: String) -> Result<Answer> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = http::send(&request.header("Cookie", cookies.join("; ")).body(body)?)?;
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().and_then(|pair| pair.split_once('='));
            self.cookies.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Ok(answer)
    }
}

/// The pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CODE_AND_CHALLENGE: &str =
    "response_type=code&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What follows `before`, up to `after` or the end.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split(after).next()
}
