//! A user's way to refresh tokens: the pages and the code (OAuth 2.1 section 4.1), as a browser and a client go it.
//!
//! The session and the remembered consent make the second time a matter of two requests, so hundreds of tokens are
//! there in a moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::http::{Answer, Request, form};
use crate::failure::Failure;

/// A browser that keeps its cookies, with somebody before it who signs in and allows everything.
#[derive(Debug)]
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

    /// One refresh token of a family of its own, for a client with a secret.
    pub(super) fn refresh_token(
        &mut self,
        client_id: &str,
        secret: &str,
        redirect_uri: &str,
        scope: &str,
    ) -> Result<String, Failure> {
        let query = form(&[
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", scope),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let code = self.code(&format!("/authorize?{query}"), redirect_uri)?;
        let redemption = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", redirect_uri),
        ];
        Request::post_form(self.port, "/token", &redemption).basic(client_id, secret).succeed()?.text("refresh_token")
    }

    /// Signs in with what is no user's name and password, and gives how long the answer took.
    pub(super) fn fail_to_sign_in(&mut self) -> Result<Duration, Failure> {
        let page = self.send(Request::get(self.port, "/sign-in"))?;
        let start = Instant::now();
        let answer = self.fill_in(&page.body)?;
        let time = start.elapsed();
        if answer.status == 401 { Ok(time) } else { Err(lost(&format!("{} {}", answer.status, answer.body))) }
    }

    /// Follows redirects and fills in forms until the way leads back to the client.
    fn code(&mut self, path: &str, redirect_uri: &str) -> Result<String, Failure> {
        let mut answer = self.send(Request::get(self.port, path))?;
        for _ in 0..STEPS {
            let location = answer.all("location").next().map(str::to_owned);
            answer = match location {
                Some(location) if location.starts_with('/') => self.send(Request::get(self.port, location))?,
                Some(location) if location.starts_with(redirect_uri) => {
                    let code = between(&format!("{location}&"), "code=", "&").map(str::to_owned);
                    return code.ok_or_else(|| lost(&location));
                }
                Some(location) => return Err(lost(&location)),
                None => self.fill_in(&answer.body)?,
            };
        }
        Err(lost("more redirects and forms than there should be"))
    }

    /// Signs in, or allows all that is asked for.
    fn fill_in(&mut self, page: &str) -> Result<Answer, Failure> {
        let form = page.split_once("<form ").map(|(_, form)| form).ok_or_else(|| lost(page))?;
        let action = between(form, r#"action=""#, "\"").ok_or_else(|| lost(page))?;
        let csrf = between(form, r#"name="csrf" value=""#, "\"").ok_or_else(|| lost(page))?;
        let mut fields = vec![("csrf", csrf)];
        if form.contains(r#"id="password""#) {
            fields.extend([("username", self.username), ("password", self.password)]);
        } else {
            let boxes = form.split(r#"<input type="checkbox""#).skip(1);
            fields.extend(boxes.filter_map(|rest| Some(("scope", between(rest, r#"value=""#, "\"")?))));
            fields.push(("decision", "allow"));
        }
        self.send(Request::post_form(self.port, action, &fields))
    }

    fn send(&mut self, mut request: Request) -> Result<Answer, Failure> {
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("Cookie", cookies.join("; "));
        }
        let answer = request.send()?;
        for cookie in answer.all("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }
}

/// The pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The most redirects and forms between the request and the code.
const STEPS: usize = 12;

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

fn lost(at: &str) -> Failure {
    Failure::Command { line: "signing in".to_owned(), detail: format!("it did not go on from: {at}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_at_the_first_mark_after_it() {
        assert_eq!(between(r#"<a action="/x" id="y">"#, r#"action=""#, "\""), Some("/x"));
        assert_eq!(between("code=1", "code=", "&"), None);
    }
}
