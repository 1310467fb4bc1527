//! The sign-in itself, and its page.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
};
use doorward_core::{
    denial::{Class, Denial},
    form::Parameters,
    refusal::Refusal,
    secret::SecretString,
};
use doorward_store::users::{FindUser, UserRecord};
use http::{HeaderMap, Request, Response, StatusCode};

use super::{
    csrf::Browser,
    interaction::{self, Interaction},
    page::{Problem, SignInPage, Username},
    session::{self, Session},
    throttle::{self, Attempt},
};
use crate::{
    app::App,
    http::{Origin, body, cookies::Cookie, respond},
    pages::security_headers::FormsEnd,
};

/// Longest name that is looked at, in characters.
const MAX_USERNAME: usize = 256;

/// Why the page is shown, where the form leads, and what stands in it.
struct Shown {
    action: String,
    /// Where people go once they are signed in.
    next: String,
    /// Whether who is signed in already may go there.
    is_signed_in: bool,
    app_name: Option<String>,
    username: Username,
    other_account: Option<String>,
    problem: Option<Problem>,
}

/// `GET /sign-in/{id}`: for an application.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    let shown = async {
        let interaction = interaction::find(&app, &head.headers, &id).await?;
        let session = session::current(&app, &head.headers).await?;
        if session.as_ref().is_some_and(|session| interaction.accepts(&app, session)) {
            return Ok(respond::redirect(&format!("/continue/{id}")));
        }
        let shown = describe(&app, &interaction, session.as_ref(), Who::Confirms).await?;
        Ok(render(&app, &head.headers, StatusCode::OK, shown, session.as_ref()))
    };
    interaction::answer(&app, &origin, &head.headers, &id, shown).await
}

/// `POST /sign-in/{id}`.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    submit_as(app, id, request, Who::Confirms).await
}

/// `POST /sign-in/{id}/other`.
pub(crate) async fn submit_other(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    submit_as(app, id, request, Who::IsAsked).await
}

/// Who is expected to sign in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    /// Whoever is signed in, if somebody is.
    Confirms,
    /// Somebody else: the name is asked for.
    IsAsked,
}

async fn submit_as(app: Arc<App>, id: String, request: Request<Body>, who: Who) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let interaction = match interaction::find(&app, &head.headers, &id).await {
        Ok(interaction) => interaction,
        Err(refusal) => return interaction::refused(&app, &origin, &head.headers, &id, &refusal).await,
    };
    let session = match session::current(&app, &head.headers).await {
        Ok(session) => session,
        Err(refusal) => return respond::error_page(&app, &origin, &refusal),
    };
    match describe(&app, &interaction, session.as_ref(), who).await {
        Ok(shown) => finish(&app, &origin, &head, body, session, shown).await,
        Err(refusal) => respond::error_page(&app, &origin, &refusal),
    }
}

/// `GET /sign-in`: for the account page.
pub(crate) async fn show_for_account(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    match session::current(&app, &head.headers).await {
        Ok(Some(_)) => respond::redirect("/account"),
        Ok(None) => render(&app, &head.headers, StatusCode::OK, for_account(false), None),
        Err(refusal) => respond::error_page(&app, &origin, &refusal),
    }
}

/// `POST /sign-in`.
pub(crate) async fn submit_for_account(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    match session::current(&app, &head.headers).await {
        Ok(session) => {
            let shown = for_account(session.is_some());
            finish(&app, &origin, &head, body, session, shown).await
        }
        Err(refusal) => respond::error_page(&app, &origin, &refusal),
    }
}

fn for_account(is_signed_in: bool) -> Shown {
    Shown {
        action: "/sign-in".into(),
        next: "/account".into(),
        is_signed_in,
        app_name: None,
        username: Username::Asked(String::new()),
        other_account: None,
        problem: None,
    }
}

async fn describe(app: &App, interaction: &Interaction, session: Option<&Session>, who: Who) -> Result<Shown, Refusal> {
    let request = &interaction.stored.request;
    let client = app.client(request.client_id.as_str()).await?.ok_or(Denial::InteractionUnknown)?;
    // Somebody else is wanted where an account is to be chosen; otherwise who is signed in confirms it.
    let confirms = session.filter(|_| who == Who::Confirms && !request.prompt.select_account);
    let own = format!("/sign-in/{}", interaction.id);
    let other = format!("{own}/other");
    Ok(Shown {
        action: if who == Who::Confirms { own } else { other.clone() },
        next: format!("/continue/{}", interaction.id),
        is_signed_in: who == Who::Confirms && session.is_some_and(|session| interaction.accepts(app, session)),
        app_name: Some(client.name.clone()),
        username: match confirms {
            Some(session) => Username::Fixed(session.user.username.clone()),
            None => Username::Asked(request.login_hint.clone().unwrap_or_default()),
        },
        other_account: confirms.map(|_| other),
        problem: None,
    })
}

fn render(
    app: &App,
    headers: &HeaderMap,
    status: StatusCode,
    shown: Shown,
    session: Option<&Session>,
) -> Response<Body> {
    let browser = Browser::of(app, headers);
    let page = SignInPage {
        layout: &app.layout,
        action: shown.action,
        csrf: browser.form_token(app, session.map(|session| session.record.id.as_str())),
        app: shown.app_name,
        username: shown.username,
        other_account: shown.other_account,
        problem: shown.problem,
    };
    let mut response = respond::page(status, &page, FormsEnd::AtClient);
    browser.remember(app, response.headers_mut());
    response
}

/// Tries what was submitted; goes on, or shows the page again with what went wrong.
async fn finish(
    app: &App,
    origin: &Origin,
    head: &http::request::Parts,
    body: Body,
    session: Option<Session>,
    shown: Shown,
) -> Response<Body> {
    let outcome = async {
        let bytes = body::form(app, head, body).await?;
        let form = Parameters::parse(&bytes)?;
        let browser = Browser::known(app, &head.headers).ok_or(Denial::FormExpired)?;
        let session_id = session.as_ref().map(|session| session.record.id.as_str());
        browser.check_form(app, session_id, form.optional("csrf")?.unwrap_or_default())?;
        let username = match &shown.username {
            Username::Fixed(username) => username.clone(),
            Username::Asked(_) => form.optional("username")?.unwrap_or_default().to_owned(),
        };
        let password = form.optional("password")?.unwrap_or_default();
        let begun = async {
            let user = sign_in(app, origin, &head.headers, &username, password.into()).await?;
            let replaces = session.as_ref().map(|session| session.record.id.clone());
            let secret = session::begin(app, origin, &user, replaces).await?;
            Ok::<_, Refusal>(signed_in(app, &user, &secret, &shown.next))
        };
        let begun = begun.await;
        Ok::<_, Refusal>((username, begun))
    };
    let (username, begun) = match outcome.await {
        Ok(outcome) => outcome,
        Err(refusal) if refusal.denial == Denial::FormExpired => {
            // A page that was left open, a sign-in in another tab, or cookies that were cleared: nothing is lost.
            app.note_refusal(origin, &refusal);
            if shown.is_signed_in {
                return respond::redirect(&shown.next);
            }
            let shown = Shown { problem: Some(Problem::Expired), ..shown };
            return render(app, &head.headers, respond::status(refusal.denial), shown, session.as_ref());
        }
        Err(refusal) => return respond::error_page(app, origin, &refusal),
    };
    match begun {
        Ok(response) => response,
        Err(refusal) => {
            let problem = match refusal.denial {
                Denial::SignInThrottled => Problem::Throttled(refusal.retry_after.unwrap_or(Duration::from_secs(60))),
                denial if denial.class() == Class::Credential => Problem::WrongCredentials,
                _ => return respond::error_page(app, origin, &refusal),
            };
            app.note_refusal(origin, &refusal);
            let username = match shown.username {
                Username::Fixed(username) => Username::Fixed(username),
                Username::Asked(_) => Username::Asked(username),
            };
            let shown = Shown { problem: Some(problem), username, ..shown };
            let mut response = render(app, &head.headers, respond::status(refusal.denial), shown, session.as_ref());
            respond::retry_after(&mut response, &refusal);
            response
        }
    }
}

fn signed_in(app: &App, user: &UserRecord, secret: &SecretString, next: &str) -> Response<Body> {
    use doorward_core::secret::ExposeSecret;
    let mut response = respond::redirect(next);
    let headers = response.headers_mut();
    Cookie::Session.set(app, headers, secret.expose_secret(), Some(app.settings.session.absolute));
    let device = throttle::device_cookie(app, &user.id);
    Cookie::Device.set(app, headers, &device, Some(throttle::DEVICE_LIFETIME));
    response
}

/// Checks a name and a password. An unknown name costs the same work and gets the same answer as a wrong password.
pub(crate) async fn sign_in(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    username: &str,
    password: SecretString,
) -> Result<UserRecord, Refusal> {
    let username: String = username.trim().chars().take(MAX_USERNAME).collect();
    let user = app.read(FindUser::ByUsername(username.clone())).await?;
    let attempt = Attempt::reserve(app, origin, headers, &username, user.as_ref().map(|user| &user.id)).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let matches = match app.passwords.verify(password, hash).await {
        Ok(matches) => matches,
        Err(refusal) => {
            attempt.was_not_tried(app).await?;
            return Err(refusal);
        }
    };
    match user {
        None => Err(Denial::UserUnknown.into()),
        Some(user) if !matches => Err(Refusal::new(Denial::PasswordWrong).fact("user", &user.id)),
        Some(user) if user.disabled_at.is_some() => Err(Refusal::new(Denial::UserDisabled).fact("user", &user.id)),
        Some(user) => {
            attempt.succeeded(app).await?;
            Ok(user)
        }
    }
}

/// `GET /sign-in/{id}/other`: asks for another account. Who is signed in stays so until somebody else is: a link must
/// not sign people out.
pub(crate) async fn show_other(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    let shown = async {
        let interaction = interaction::find(&app, &head.headers, &id).await?;
        let session = session::current(&app, &head.headers).await?;
        let shown = describe(&app, &interaction, session.as_ref(), Who::IsAsked).await?;
        Ok(render(&app, &head.headers, StatusCode::OK, shown, session.as_ref()))
    };
    interaction::answer(&app, &origin, &head.headers, &id, shown).await
}
