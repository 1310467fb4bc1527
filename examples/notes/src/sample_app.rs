//! What the app knows about itself and its issuer.

use std::sync::Arc;

use doorward_core::random::Rng;
use doorward_guard::SystemRng;
use reqwest::{Client, redirect};
use url::Url;

/// A public client (RFC 6749 section 2.1) of an issuer, registered for the code flow with PKCE.
#[derive(Clone)]
pub struct SampleApp {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: Url,
    pub(crate) http: Client,
    pub(crate) rng: Arc<dyn Rng>,
}

/// An app that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSampleApp {
    /// The HTTP client can't be set up.
    #[error("the HTTP client can't be set up: {0}")]
    HttpClient(#[from] reqwest::Error),
    /// The issuer or the redirect URI is no URL.
    #[error("issuer and redirect URI are URLs: {0}")]
    Url(#[from] url::ParseError),
}

impl SampleApp {
    /// The client `client_id` at `issuer`. `redirect_uri` is this service's own `/callback`, as registered.
    pub fn new(issuer: &str, client_id: &str, redirect_uri: &str) -> Result<Self, InvalidSampleApp> {
        let mut http = Client::builder().redirect(redirect::Policy::none()).no_proxy();
        if Url::parse(issuer)?.scheme() == "http" {
            // Reading the machine's certificates takes longer than all the rest of starting.
            http = http.tls_certs_only([]);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            redirect_uri: Url::parse(redirect_uri)?,
            http: http.timeout(std::time::Duration::from_secs(10)).build()?,
            rng: Arc::new(SystemRng::default()),
        })
    }

    /// An address of the notes API, which has the app's origin.
    pub(crate) fn api(&self, path: &str) -> Url {
        let mut url = self.redirect_uri.clone();
        url.set_path(path);
        url.set_query(None);
        url
    }

    /// The name of the cookie that holds a session. It has the port: browsers send the cookies of a host to all its
    /// ports, and two apps would sign each other's users out.
    pub(crate) fn session_cookie(&self) -> String {
        format!("notes_session_{}", self.redirect_uri.port_or_known_default().unwrap_or_default())
    }

    /// Whether cookies may demand TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.redirect_uri.scheme() == "https"
    }
}
