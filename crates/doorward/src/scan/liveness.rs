//! Asking a server whether the keys that were found are valid: `POST /v1/keys/verify`, each key once.
//!
//! Keys leave the machine here, so only on request, only to the server that the user names, and never without TLS except
//! to this machine.

use std::{collections::HashMap, fs, net::IpAddr, path::Path, time::Duration};

use doorward_core::secret::{ExposeSecret, SecretString};
use reqwest::{Client, StatusCode, redirect};
use serde_json::{Value, json};
use url::{Host, Url};

use super::Report;
use crate::failure::Failure;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer; a server's own are a few hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// Asks one server.
pub(crate) struct Verifier {
    endpoint: Url,
    credential: SecretString,
    client: Client,
}

impl Verifier {
    /// A verifier that asks `server` with the key in a file.
    ///
    /// # Errors
    /// If the URL is none of a server that may see keys, or the file can't be read.
    pub(crate) fn new(server: &Url, key_file: &Path) -> Result<Self, Failure> {
        let is_safe = server.scheme() == "https" || (server.scheme() == "http" && is_this_machine(server));
        if !is_safe {
            let instead = "--live sends keys: the URL must begin with https://, or name this machine with http://";
            return Err(Failure::Usage(instead.to_owned()));
        }
        let mut endpoint = server.clone();
        endpoint.set_path(&format!("{}/v1/keys/verify", server.path().trim_end_matches('/')));
        let read = fs::read_to_string(key_file).map(SecretString::from);
        let text = read.map_err(|error| Failure::system(&key_file.display().to_string(), error))?;
        let credential = text.expose_secret().trim().into();
        let client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
        let client = client.map_err(|error| Failure::system("the client", error))?;
        Ok(Self { endpoint, credential, client })
    }

    /// Adds what the server says of each key to the findings. Tokens and client secrets are not asked about.
    ///
    /// # Errors
    /// [`Failure::System`] at the first answer that says nothing about a key.
    pub(crate) async fn ask(&self, report: &mut Report) -> Result<(), Failure> {
        let mut known = HashMap::new();
        for finding in &mut report.findings {
            let Some(key) = &finding.key else { continue };
            let state = match known.get(&finding.fingerprint) {
                Some(state) => String::clone(state),
                None => self.state(key.0.expose_secret()).await?,
            };
            known.insert(finding.fingerprint.clone(), state.clone());
            finding.state = Some(state);
        }
        Ok(())
    }

    /// `valid`, or the code of the denial.
    async fn state(&self, key: &str) -> Result<String, Failure> {
        // The URL may contain a password.
        let failed = |error: reqwest::Error| Failure::system("the server can't be asked", error.without_url());
        let request = self.client.post(self.endpoint.clone()).bearer_auth(self.credential.expose_secret());
        let mut answer = request.json(&json!({"key": key})).send().await.map_err(failed)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(Failure::System("the answer of the server is too long".to_owned()));
            }
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = said["code"].as_str().unwrap_or("no code").to_owned();
        match (status, said["valid"].is_boolean()) {
            (StatusCode::OK, true) => Ok(code),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                Err(Failure::System(format!("the server refuses the key of --key-file: {status}, {code}")))
            }
            _ => Err(Failure::System(format!("the server does not verify keys at this URL: {status}, {code}"))),
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_https_or_this_machine_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let endpoint =
            |url: &str| Verifier::new(&url.parse().unwrap(), file.path()).ok().map(|it| it.endpoint.to_string());
        for (url, expected) in [
            ("https://auth.example", Some("https://auth.example/v1/keys/verify")),
            ("https://auth.example/sso/", Some("https://auth.example/sso/v1/keys/verify")),
            ("http://localhost:8400", Some("http://localhost:8400/v1/keys/verify")),
            ("http://127.0.0.1:8400", Some("http://127.0.0.1:8400/v1/keys/verify")),
            ("http://[::1]:8400", Some("http://[::1]:8400/v1/keys/verify")),
            ("http://auth.example", None),
            ("http://localhost.evil.example", None),
            ("http://10.0.0.1", None),
            ("ftp://localhost", None),
        ] {
            assert_eq!(endpoint(url).as_deref(), expected, "{url}");
        }
    }
}
