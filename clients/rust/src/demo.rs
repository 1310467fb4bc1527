//! The demo under test: what `doorward demo --json` printed, and its notes API.

use std::env;
use std::error::Error;
use std::fs;
use std::time::Duration;

use openidconnect::AccessToken;
use openidconnect::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use openidconnect::http::{Response, StatusCode};
use openidconnect::reqwest::blocking::{Client, RequestBuilder};
use openidconnect::reqwest::{self, redirect};
use serde::Deserialize;

use crate::checks::{Failure, equal, hold};

/// Bounds each answer that a check waits for.
pub const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
pub struct Demo {
    pub issuer: String,
    pub api: String,
    pub api_audience: String,
    pub api_client_id: String,
    pub api_client_secret: String,
    pub client_id: String,
    pub client_secret: String,
    pub public_client_id: String,
    pub redirect_uri: String,
    pub username: String,
    pub password: String,
}

impl Demo {
    /// Reads the file that `DOORWARD_DEMO_JSON` names.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let path = env::var_os("DOORWARD_DEMO_JSON").ok_or("DOORWARD_DEMO_JSON is not set")?;
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Gets the notes with an access token.
    pub fn get_notes(&self, token: &AccessToken) -> Result<Response<Vec<u8>>, Box<dyn Error>> {
        send(http_client()?.get(self.notes()).bearer_auth(token.secret()))
    }

    /// Posts a note with an access token.
    pub fn post_note(&self, token: &AccessToken) -> Result<Response<Vec<u8>>, Box<dyn Error>> {
        let request = http_client()?.post(self.notes()).bearer_auth(token.secret());
        send(request.header(CONTENT_TYPE, "application/json").body(r#"{"text": "from a client suite"}"#))
    }

    /// Asserts that a write without `notes:write` is 403 and the answer says which scope would do (RFC 6750 3.1).
    #[track_caller]
    pub fn assert_may_not_write(&self, token: &AccessToken) -> Result<(), Failure> {
        let refusal = self.post_note(token)?;
        equal(refusal.status(), StatusCode::FORBIDDEN)?;
        let challenge =
            refusal.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        hold(challenge.contains(r#"error="insufficient_scope""#), challenge)?;
        hold(challenge.contains(r#"scope="notes:write""#), challenge)?;
        let problem: Problem = serde_json::from_slice(refusal.body()).map_err(Box::<dyn Error>::from)?;
        equal(problem.status, 403)?;
        let is_trace_id = problem.trace_id.len() == 32 && problem.trace_id.bytes().all(is_lower_hex);
        hold(is_trace_id, &format!("trace_id is {:?}", problem.trace_id))
    }

    fn notes(&self) -> String {
        format!("{}/notes", self.api)
    }
}

/// A client that does not wait forever. It follows no redirect: an endpoint that redirected would get the credentials
/// sent on.
pub fn http_client() -> Result<Client, reqwest::Error> {
    Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).no_proxy().build()
}

/// The members of problem+json (RFC 9457) that a check looks at.
#[derive(Deserialize)]
struct Problem {
    status: u16,
    trace_id: String,
}

fn send(request: RequestBuilder) -> Result<Response<Vec<u8>>, Box<dyn Error>> {
    let answer = request.send()?;
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    Ok(response.body(answer.bytes()?.to_vec())?)
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
