//! `/account/password`: changing one's password, after the current one (OWASP ASVS 5.0, V6.2.3 and V7.4.3).
//!
//! The current password is checked as on the sign-in page, and slowed down by the same counters: someone who finds an
//! open browser gets no more guesses than anyone else.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{body::Body, extract::State};
use doorward_core::{
    denial::{Class, Denial},
    password::PasswordRejected,
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
};
use http::{Response, StatusCode};

use super::done::Done;
use crate::{
    app::App,
    browser::{Session, SignedIn, Visitor},
    manage::users,
    pages::{Layout, security_headers::FormsEnd, time_in_words},
    signin::password,
    web::{
        body::Form,
        refused::{self, PageError, noting},
        respond,
    },
};

type Answer = Result<Response<Body>, PageError>;

/// The page. Its form sends `csrf`, `password` and `new_password`. `username` shows people and password managers which
/// account it is.
#[derive(Debug, Template)]
#[template(path = "account/password.html")]
struct PasswordPage<'a> {
    layout: &'a Layout,
    csrf: String,
    username: String,
    min_length: usize,
    /// Why the page is shown again.
    problem: Option<Problem>,
}

/// Why the page is shown again.
#[derive(Clone, Copy, Debug)]
enum Problem {
    /// The new password can't be one.
    NewRejected(PasswordRejected),
    /// The new password is the current one.
    NotNew,
    /// The current password is wrong.
    OldWrong,
    /// The current password became another one while this change was under way.
    ChangedMeanwhile,
    /// Too many attempts; the next one is checked after this time.
    Throttled(Duration),
}

impl PasswordPage<'_> {
    fn what_happened(&self) -> Option<&'static str> {
        self.problem.map(|problem| match problem {
            Problem::NewRejected(_) | Problem::NotNew => "Choose another new password",
            Problem::OldWrong => "Wrong password",
            Problem::ChangedMeanwhile => "The password was just changed",
            Problem::Throttled(_) => "Too many attempts",
        })
    }

    fn old_mistake(&self) -> Option<&'static str> {
        match self.problem {
            Some(Problem::OldWrong) => Some("Wrong password. Check what you typed, and try again."),
            Some(Problem::ChangedMeanwhile) => {
                Some("The password was just changed. Enter the current password, and try again.")
            }
            _ => None,
        }
    }

    fn wait(&self) -> Option<String> {
        match self.problem {
            Some(Problem::Throttled(wait)) => Some(time_in_words::wait(wait)),
            _ => None,
        }
    }

    fn new_mistake(&self) -> Option<String> {
        match self.problem {
            Some(Problem::NewRejected(PasswordRejected::Common)) => {
                Some("This password is known from breaches. Choose another.".to_owned())
            }
            Some(Problem::NewRejected(PasswordRejected::TooLong)) => {
                Some("This password is too long. Use fewer characters.".to_owned())
            }
            Some(Problem::NewRejected(PasswordRejected::TooShort(least))) => {
                Some(format!("This password is too short. Use at least {least} characters."))
            }
            Some(Problem::NotNew) => Some("This is the current password. Choose another.".to_owned()),
            Some(Problem::OldWrong | Problem::ChangedMeanwhile | Problem::Throttled(_)) | None => None,
        }
    }
}

/// `GET /.well-known/change-password`: where password managers look for the page (A Well-Known URL for Changing
/// Passwords, W3C).
pub(super) async fn well_known() -> Answer {
    Ok(respond::redirect("/account/password")?)
}

/// `GET /account/password`.
pub(super) async fn show(State(app): State<Arc<App>>, SignedIn { visitor, session }: SignedIn) -> Answer {
    Ok(render(&app, &visitor, &session, StatusCode::OK, None)?)
}

/// `POST /account/password`.
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    form: Form<PageError>,
) -> Answer {
    let parameters = form.parameters()?;
    visitor
        .check_form(&app, &parameters)
        .map_err(|refusal| PageError::from(refusal).leading("/account/password", "Start over"))?;
    let [old, new] = [parameters.optional("password")?, parameters.optional("new_password")?]
        .map(|password| SecretString::from(password.unwrap_or_default()));
    if let Err(rejected) = users::check_password(&app, &new) {
        let problem = Problem::NewRejected(rejected);
        return Ok(render(&app, &visitor, &session, StatusCode::UNPROCESSABLE_ENTITY, Some(problem))?);
    }
    let username = &session.user.metadata.username;
    let user = match password::check(&app, &form.origin, &form.head.headers, username, old.clone()).await {
        Ok(user) => user,
        Err(refusal) => return Ok(refused(&app, &visitor, &session, Problem::OldWrong, refusal)?),
    };
    if old.expose_secret() == new.expose_secret() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(render(&app, &visitor, &session, status, Some(Problem::NotNew))?);
    }
    let actor = form.origin.actor(user.id.as_str());
    let changed = users::change_password(&app, &actor, &user, session.record.id.clone(), new).await;
    match changed.map_err(Refusal::from) {
        Ok(()) => {}
        // The session was ended in the meantime, so the user has to sign in.
        Err(refusal) if refusal.denial == Denial::FormExpired => {
            return Err(PageError::from(refusal).leading("/account/password", "Start over"));
        }
        Err(refusal) => return Ok(refused(&app, &visitor, &session, Problem::ChangedMeanwhile, refusal)?),
    }
    Ok(Done::PasswordChanged.answer(&app)?)
}

/// Shows the page again where the current password was not accepted, for which `wrong` is the reason.
fn refused(
    app: &App,
    visitor: &Visitor,
    session: &Session,
    wrong: Problem,
    refusal: Refusal,
) -> Result<Response<Body>, Refusal> {
    let problem = match refusal.denial {
        Denial::SignInThrottled => Problem::Throttled(refusal.retry_after.unwrap_or(Duration::from_secs(60))),
        denial if denial.class() == Class::Credential => wrong,
        _ => return Err(refusal),
    };
    let mut response = render(app, visitor, session, refused::status(refusal.denial), Some(problem))?;
    refused::retry_after(&mut response, &refusal);
    Ok(noting(response, refusal))
}

fn render(
    app: &App,
    visitor: &Visitor,
    session: &Session,
    status: StatusCode,
    problem: Option<Problem>,
) -> Result<Response<Body>, Refusal> {
    let page = PasswordPage {
        layout: &app.layout,
        csrf: visitor.form_token(app),
        username: session.user.metadata.username.clone(),
        min_length: app.settings.password.min_length,
        problem,
    };
    visitor.show(app, status, &page, FormsEnd::Here)
}
