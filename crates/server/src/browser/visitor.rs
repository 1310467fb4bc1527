//! Who looks at a page: a browser, and the session that it has, if any.

use std::sync::Arc;

use askama::Template;
use axum::{body::Body, extract::FromRequestParts, response::IntoResponse};
use doorward_core::{denial::Denial, form::Parameters, id::SessionId, refusal::Refusal};
use http::{Response, StatusCode, request::Parts};

use super::{
    identity::Browser,
    mac,
    session::{self, Session},
};
use crate::{
    app::App,
    pages::security_headers::FormsEnd,
    web::{refused::PageError, respond},
};

/// A browser with its session.
pub(crate) struct Visitor {
    pub(crate) browser: Browser,
    pub(crate) session: Option<Session>,
}

impl Visitor {
    pub(crate) async fn of(app: &App, head: &Parts) -> Result<Self, Refusal> {
        let session = session::current(app, &head.headers).await?;
        Ok(Self { browser: Browser::of(app, &head.headers), session })
    }

    /// The id of the session.
    pub(crate) fn session_id(&self) -> Option<&SessionId> {
        self.session.as_ref().map(|session| &session.record.id)
    }

    /// The token of a form that this browser is shown.
    pub(crate) fn form_token(&self, app: &App) -> String {
        self.browser.form_token(app, self.session_id().map(SessionId::as_str))
    }

    /// Refuses a form that was not shown to this browser in this session.
    pub(crate) fn check_form(&self, app: &App, form: &Parameters<'_>) -> Result<(), Refusal> {
        if self.browser.is_new() {
            return Err(Denial::FormExpired.into());
        }
        let token = form.optional("csrf")?.unwrap_or_default();
        self.browser.check_form(app, self.session_id().map(SessionId::as_str), token)
    }

    /// The proof that this server gave a text to this browser in this session, to be sent back by a form.
    pub(crate) fn seal(&self, app: &App, text: &str) -> String {
        mac::of(app, &self.sealed(app, text))
    }

    /// Whether a form brings back what this server gave to this browser in this session.
    pub(crate) fn has_sealed(&self, app: &App, text: &str, seal: &str) -> bool {
        mac::is_of(app, &self.sealed(app, text), seal)
    }

    fn sealed(&self, app: &App, text: &str) -> String {
        format!("sealed for a form\n{}\n{text}", self.form_token(app))
    }

    /// A page for this browser, which gets its cookie with it.
    pub(crate) fn show(
        &self,
        app: &App,
        status: StatusCode,
        page: &impl Template,
        forms: FormsEnd,
    ) -> Result<Response<Body>, Refusal> {
        let mut response = respond::page(status, page, forms)?;
        self.browser.remember(app, response.headers_mut());
        Ok(response)
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        Ok(Self::of(app, head).await?)
    }
}

/// A browser whose user is signed in. Another one is sent to sign in, before anything of a body is read.
pub(crate) struct SignedIn {
    pub(crate) visitor: Visitor,
    pub(crate) session: Session,
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Response<Body>;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, Response<Body>> {
        let visitor = Visitor::from_request_parts(head, app).await.map_err(IntoResponse::into_response)?;
        match visitor.session.clone() {
            Some(session) => Ok(Self { visitor, session }),
            None => {
                Err(respond::redirect("/sign-in").map_err(PageError::from).unwrap_or_else(IntoResponse::into_response))
            }
        }
    }
}
