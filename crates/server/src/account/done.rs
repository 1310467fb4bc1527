//! What was just done on the account page, carried over the redirect that follows a form (RFC 9110 section 15.4.4).
//!
//! The message is in a cookie that is shown once. If it were in the URL, anyone could write a link that claims that
//! something was done.

use std::time::Duration;

use axum::body::Body;
use doorward_core::{id::ClientId, refusal::Refusal};
use http::{HeaderMap, Response};

use crate::{app::App, browser::Cookie, web::respond};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Done {
    /// An application was disconnected.
    Disconnected(ClientId),
    /// A key has another name.
    KeyRenamed,
    /// A key was revoked.
    KeyRevoked,
    /// All other sessions were ended.
    OtherSessionsEnded,
    /// The user changed the password.
    PasswordChanged,
    /// A session was ended.
    SessionEnded,
    /// The user signed out.
    SignedOut,
}

impl Done {
    /// The page that says so.
    fn leads_to(&self) -> &'static str {
        match self {
            Self::Disconnected(_) | Self::OtherSessionsEnded | Self::PasswordChanged | Self::SessionEnded => "/account",
            Self::KeyRenamed | Self::KeyRevoked => "/account/keys",
            Self::SignedOut => "/signed-out",
        }
    }

    /// Leads to the page that says so.
    pub(super) fn answer(&self, app: &App) -> Result<Response<Body>, Refusal> {
        let mut response = respond::redirect(self.leads_to())?;
        self.carry(app, response.headers_mut());
        Ok(response)
    }

    /// Sends it along with the redirect; after a sign-out there is no session to send it along with.
    fn carry(&self, app: &App, headers: &mut HeaderMap) {
        let value = match self {
            Self::SignedOut => return Cookie::Session.clear(app, headers),
            Self::Disconnected(client_id) => client_id.to_string(),
            Self::KeyRenamed => "key-renamed".to_owned(),
            Self::KeyRevoked => "key-revoked".to_owned(),
            Self::OtherSessionsEnded => "other-sessions".to_owned(),
            Self::PasswordChanged => "password".to_owned(),
            Self::SessionEnded => "session".to_owned(),
        };
        Cookie::Done.set(app, headers, &value, Some(Duration::from_secs(60)));
    }

    /// What a request carries.
    pub(crate) fn read(app: &App, headers: &HeaderMap) -> Option<Self> {
        match Cookie::Done.read(app, headers)? {
            "key-renamed" => Some(Self::KeyRenamed),
            "key-revoked" => Some(Self::KeyRevoked),
            "other-sessions" => Some(Self::OtherSessionsEnded),
            "password" => Some(Self::PasswordChanged),
            "session" => Some(Self::SessionEnded),
            client_id => ClientId::parse(client_id).ok().map(Self::Disconnected),
        }
    }

    /// Says it in a sentence.
    pub(crate) async fn sentence(&self, app: &App) -> Result<String, Refusal> {
        Ok(match self {
            Self::Disconnected(client_id) => {
                let client = app.client_name(client_id.as_str()).await?;
                format!("{} is disconnected.", client.as_deref().unwrap_or("The app"))
            }
            Self::KeyRenamed => "The key has its new name.".to_owned(),
            Self::KeyRevoked => "The key is revoked. Programs that use it are refused from now on.".to_owned(),
            Self::OtherSessionsEnded => "All other browsers are signed out.".to_owned(),
            Self::PasswordChanged => "Your password has been changed. All other browsers are signed out.".to_owned(),
            Self::SessionEnded | Self::SignedOut => "That browser is signed out.".to_owned(),
        })
    }
}
