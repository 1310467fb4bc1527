//! The app's requests to its issuer: metadata (RFC 8414) and the redemption of a code (RFC 6749 section 4.1.3).

use serde::{Deserialize, de::DeserializeOwned};

use crate::{pending::Pending, sample_app::SampleApp};

/// Where the issuer answers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
}

/// Who signed in (OpenID Connect Core section 5.3.2).
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
}

/// What the issuer gave for a code.
#[derive(Clone, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) id_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

/// A sign-in that did not work.
#[derive(Clone, Debug)]
pub(crate) struct SignInError {
    pub(crate) error: String,
    pub(crate) description: Option<String>,
}

impl SignInError {
    pub(crate) fn new(error: &str, description: &str) -> Self {
        Self { error: error.into(), description: Some(description.into()) }
    }
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
    error_description: Option<String>,
}

impl SampleApp {
    /// The issuer's metadata; `issuer` in it must be the one that was asked (RFC 8414 section 3.3).
    pub(crate) async fn metadata(&self) -> Result<Metadata, SignInError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let response = self.http.get(url).send().await.map_err(|error| away(&error))?;
        let metadata: Metadata = json(response).await?;
        match metadata.issuer == self.issuer {
            true => Ok(metadata),
            false => Err(SignInError::new("server_error", "The issuer's metadata names another issuer.")),
        }
    }

    /// The name of the user `sub`, if the issuer has one. An answer about somebody else is not used (OpenID Connect
    /// Core section 5.3.2).
    pub(crate) async fn name_of(&self, sub: &str, access_token: &str) -> Option<String> {
        let metadata = self.metadata().await.ok()?;
        let response = self.http.get(metadata.userinfo_endpoint?).bearer_auth(access_token).send().await.ok()?;
        let info: UserInfo = response.error_for_status().ok()?.json().await.ok()?;
        (info.sub == sub).then(|| info.name.or(info.preferred_username)).flatten()
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, code: &str, pending: &Pending) -> Result<Tokens, SignInError> {
        let metadata = self.metadata().await?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("client_id", &self.client_id),
            ("code_verifier", &pending.code_verifier),
        ];
        let response =
            self.http.post(metadata.token_endpoint).form(&form).send().await.map_err(|error| away(&error))?;
        if response.status().is_success() {
            return json(response).await;
        }
        let TokenError { error, error_description } = json(response).await?;
        Err(SignInError { error, description: error_description })
    }
}

async fn json<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, SignInError> {
    let status = response.status();
    response.json().await.map_err(|error| {
        tracing::warn!(%status, %error, "the issuer's answer can't be read");
        SignInError::new("server_error", "The issuer's answer can't be read.")
    })
}

fn away(error: &reqwest::Error) -> SignInError {
    tracing::warn!(%error, "the issuer can't be reached");
    SignInError::new("temporarily_unavailable", "The issuer can't be reached. Try again in a moment.")
}
