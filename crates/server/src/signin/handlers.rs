//! The sign-in page: shown for an application or for the account page, and what is submitted on it.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::State};
use doorward_core::{
    denial::{Class, Denial},
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
    session::SignInMethod,
};
use doorward_store::users::{FindUser, UserRecord};
use http::{HeaderMap, Response, StatusCode};

use super::{
    page::{Problem, SignInPage, Username},
    password,
};
use crate::{
    app::App,
    authorization::step::Step,
    browser::{Cookie, Session, Visitor, device, session},
    origin::Origin,
    pages::security_headers::FormsEnd,
    web::{
        body::Form,
        refused::{self, PageError, noting},
        respond,
    },
};

/// `GET /sign-in/{id}`: for an application.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    step: Step,
    headers: HeaderMap,
) -> Result<Response<Body>, PageError> {
    if step.accepted_session(&app).is_some() {
        return Ok(respond::redirect(&step.next())?);
    }
    let sign_in = SignIn::for_app(&app, &headers, &step, Account::Same).await?;
    Ok(sign_in.render(&app, &step.visitor, StatusCode::OK)?)
}

/// `POST /sign-in/{id}`.
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    step: Step,
    form: Form<PageError>,
) -> Result<Response<Body>, PageError> {
    let sign_in = SignIn::for_app(&app, &form.head.headers, &step, Account::Same).await?;
    sign_in.submit(&app, &form.origin, &step.visitor, &form).await
}

/// `GET /sign-in/{id}/other`: asks for another account. Who is signed in stays so until somebody else is: a link must
/// not sign people out.
pub(super) async fn show_other(
    State(app): State<Arc<App>>,
    step: Step,
    headers: HeaderMap,
) -> Result<Response<Body>, PageError> {
    let sign_in = SignIn::for_app(&app, &headers, &step, Account::Other).await?;
    Ok(sign_in.render(&app, &step.visitor, StatusCode::OK)?)
}

/// `POST /sign-in/{id}/other`.
pub(super) async fn submit_other(
    State(app): State<Arc<App>>,
    step: Step,
    form: Form<PageError>,
) -> Result<Response<Body>, PageError> {
    let sign_in = SignIn::for_app(&app, &form.head.headers, &step, Account::Other).await?;
    sign_in.submit(&app, &form.origin, &step.visitor, &form).await
}

/// `GET /sign-in`: for the account page.
pub(super) async fn show_for_account(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Response<Body>, PageError> {
    match &visitor.session {
        Some(_) => Ok(respond::redirect("/account")?),
        None => Ok(SignIn::for_account(&visitor).render(&app, &visitor, StatusCode::OK)?),
    }
}

/// `POST /sign-in`.
pub(super) async fn submit_for_account(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Form<PageError>,
) -> Result<Response<Body>, PageError> {
    SignIn::for_account(&visitor).submit(&app, &form.origin, &visitor, &form).await
}

/// Which account is to sign in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Account {
    /// The one that is signed in, if one is.
    Same,
    /// Another: the name is asked for.
    Other,
}

/// A sign-in: where the form leads, and what is on its page.
struct SignIn {
    action: String,
    /// Where people go once they are signed in.
    next: String,
    /// Whether who is signed in already may go there.
    is_signed_in: bool,
    client_name: Option<String>,
    username: Username,
    other_account: Option<String>,
    problem: Option<Problem>,
}

impl SignIn {
    fn for_account(visitor: &Visitor) -> Self {
        Self {
            action: "/sign-in".into(),
            next: "/account".into(),
            is_signed_in: visitor.session.is_some(),
            client_name: None,
            username: Username::Asked(String::new()),
            other_account: None,
            problem: None,
        }
    }

    async fn for_app(app: &App, headers: &HeaderMap, step: &Step, account: Account) -> Result<Self, Refusal> {
        let request = &step.interaction.stored.request;
        // Another account is wanted where one is to be chosen, or where the app expects one; otherwise who is signed in
        // confirms it.
        let is_same = account == Account::Same;
        let may_confirm = |session: &&Session| {
            is_same && !request.prompt.select_account && !request.expects_another(&session.user.id)
        };
        let confirms = step.visitor.session.as_ref().filter(may_confirm);
        let expected = match &request.expected_user {
            Some(user) => app.read(FindUser::ById(user.clone())).await?,
            None => None,
        };
        // The holder of an ID token, however old, need not know the name. A browser that signed in as this user does.
        let is_known = |user: &UserRecord| {
            let is_signed_in = step.visitor.session.as_ref().is_some_and(|session| session.user.id == user.id);
            is_signed_in || device::known(app, headers, user).is_some()
        };
        let expected = expected.filter(is_known).map(|user| user.metadata.username);
        let own = format!("/sign-in/{}", step.interaction.id);
        let other = format!("{own}/other");
        Ok(Self {
            action: if is_same { own } else { other.clone() },
            next: step.next(),
            is_signed_in: is_same && step.accepted_session(app).is_some(),
            client_name: Some(step.client.metadata.client_name.clone()),
            username: match confirms {
                Some(session) => Username::Fixed(session.user.metadata.username.clone()),
                None => Username::Asked(expected.or(request.login_hint.clone()).unwrap_or_default()),
            },
            other_account: confirms.map(|_| other),
            problem: None,
        })
    }

    fn render(self, app: &App, visitor: &Visitor, status: StatusCode) -> Result<Response<Body>, Refusal> {
        let page = SignInPage {
            layout: &app.layout,
            action: self.action,
            csrf: visitor.form_token(app),
            client_name: self.client_name,
            username: self.username,
            other_account: self.other_account,
            problem: self.problem,
        };
        visitor.show(app, status, &page, FormsEnd::AtClient)
    }

    /// Tries what was submitted; continues, or shows the page again with what went wrong.
    async fn submit(
        self,
        app: &App,
        origin: &Origin,
        visitor: &Visitor,
        form: &Form<PageError>,
    ) -> Result<Response<Body>, PageError> {
        let parameters = form.parameters()?;
        match visitor.check_form(app, &parameters) {
            Ok(()) => {}
            // A page that was left open, a sign-in in another tab, or cookies that were cleared: nothing is lost.
            Err(refusal) if refusal.denial == Denial::FormExpired && self.is_signed_in => {
                return Ok(noting(respond::redirect(&self.next)?, refusal));
            }
            Err(refusal) if refusal.denial == Denial::FormExpired => {
                return Ok(self.show_again(app, visitor, Problem::Expired, refusal)?);
            }
            Err(refusal) => return Err(refusal.into()),
        }
        let username = match &self.username {
            Username::Fixed(username) => username.clone(),
            Username::Asked(_) => parameters.optional("username")?.unwrap_or_default().to_owned(),
        };
        let password = parameters.optional("password")?.unwrap_or_default();
        let begun = async {
            let user = password::check(app, origin, &form.head.headers, &username, password.into()).await?;
            let secret =
                session::begin(app, origin, &user, SignInMethod::Password, visitor.session_id().cloned()).await?;
            signed_in(app, &user, &secret, &self.next)
        };
        let refusal = match begun.await {
            Ok(response) => return Ok(response),
            Err(refusal) => refusal,
        };
        let problem = match refusal.denial {
            Denial::SignInThrottled => Problem::Throttled(refusal.retry_after.unwrap_or(Duration::from_secs(60))),
            denial if denial.class() == Class::Credential => Problem::WrongCredentials,
            _ => return Err(refusal.into()),
        };
        let username = match self.username {
            Username::Fixed(username) => Username::Fixed(username),
            Username::Asked(_) => Username::Asked(username),
        };
        Ok(Self { username, ..self }.show_again(app, visitor, problem, refusal)?)
    }

    fn show_again(
        self,
        app: &App,
        visitor: &Visitor,
        problem: Problem,
        refusal: Refusal,
    ) -> Result<Response<Body>, Refusal> {
        let again = Self { problem: Some(problem), ..self };
        let mut response = again.render(app, visitor, refused::status(refusal.denial))?;
        refused::retry_after(&mut response, &refusal);
        Ok(noting(response, refusal))
    }
}

fn signed_in(app: &App, user: &UserRecord, secret: &SecretString, next: &str) -> Result<Response<Body>, Refusal> {
    let mut response = respond::redirect(next)?;
    let headers = response.headers_mut();
    Cookie::Session.set(app, headers, secret.expose_secret(), Some(app.settings.session.absolute));
    let device = device::cookie(app, user);
    Cookie::Device.set(app, headers, &device, Some(device::LIFETIME));
    Ok(response)
}
