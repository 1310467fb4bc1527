//! `/account/keys/new`: a new API key of the user, after the password (OWASP ASVS 5.0, V7.5.1).
//!
//! The answer to the form is the page with the key, which is shown this once. Reloading that page sends the form again: it
//! carries the id of the key, which the server chose for this browser, so that one form makes one key.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::State};
use doorward_core::{
    api::Api,
    denial::Denial,
    form::Parameters,
    id::KeyId,
    new_api_key::DEFAULT_LIFETIME,
    own_api_key::{LIFETIMES, offered},
    refusal::{Mistake, Refusal},
    scope::{Scope, ScopeSet},
    secret::SecretString,
};
use http::{Response, StatusCode, Uri};

use super::{
    key_pages::{Choice, CreatedKeyPage, KeyRow, NewKeyPage, Problems, Replaces, WhichApiPage},
    keys::{leading_back, row},
};
use crate::{
    app::App,
    browser::{Session, SignedIn, Visitor},
    manage::{
        ManageError,
        keys::own::{self, NewOwnKey, OwnKey},
    },
    pages::security_headers::FormsEnd,
    signin::password,
    web::{
        body::Form,
        refused::{self, PageError, noting},
        respond,
    },
};

type Answer = Result<Response<Body>, PageError>;

/// `GET /account/keys/new`.
pub(super) async fn show(State(app): State<Arc<App>>, SignedIn { visitor, session }: SignedIn, uri: Uri) -> Answer {
    let shown = || {
        let parameters = Parameters::parse(uri.query().unwrap_or_default().as_bytes())?;
        let open = own::open_apis(&app);
        let api = match (parameters.optional("api")?, &*open) {
            (Some(name), open) => open.iter().find(|api| api.metadata.name == name).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, []) => None,
            (None, several) => return which_api(&app, &visitor, several),
        };
        let api = api.ok_or_else(|| Refusal::new(Denial::ParameterInvalid).parameter("api"))?;
        let asked = Asked::new(&app, &visitor, api);
        asked.render(&app, &visitor, &session, StatusCode::OK, Problems::default())
    };
    shown().map_err(leading_back)
}

fn which_api(app: &App, visitor: &Visitor, apis: &[Arc<Api>]) -> Result<Response<Body>, Refusal> {
    let choice = |api: &Arc<Api>| {
        let name = api.metadata.name.clone();
        Choice { value: name.clone(), words: name, is_chosen: false }
    };
    let page = WhichApiPage { layout: &app.layout, apis: apis.iter().map(choice).collect() };
    visitor.show(app, StatusCode::OK, &page, FormsEnd::Here)
}

/// `POST /account/keys/new`.
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    form: Form<PageError>,
) -> Answer {
    let answered = async {
        let parameters = form.parameters()?;
        visitor.check_form(&app, &parameters)?;
        let asked = Asked::read(&app, &visitor, &parameters)?;
        let password = SecretString::from(parameters.optional("password")?.unwrap_or_default());
        let username = &session.user.metadata.username;
        if let Err(refusal) = password::check(&app, &form.origin, &form.head.headers, username, password).await {
            return asked.refused(&app, &visitor, &session, refusal);
        }
        let actor = form.origin.actor(session.user.id.as_str());
        match own::create(&app, &actor, &session.user.id, asked.key()).await {
            Ok(OwnKey::Created(created)) => {
                created_page(&app, &visitor, row(&app, &created.view), Some(created.key.reveal()), None)
            }
            Ok(OwnKey::Before(key)) => created_page(&app, &visitor, row(&app, &key), None, None),
            Ok(OwnKey::TooMany) => {
                let most = app.settings.limits.keys_per_user;
                let sentence = format!("You have {most} keys, which is the most. Revoke one that you do not need.");
                let problems = Problems { whole: Some(("Too many keys", sentence)), ..Problems::default() };
                asked.render(&app, &visitor, &session, StatusCode::CONFLICT, problems)
            }
            Err(ManageError::Mistakes(mistakes)) => asked.mistaken(&app, &visitor, &session, &mistakes),
            Err(error) => Err(error.into()),
        }
    };
    answered.await.map_err(leading_back)
}

/// The page with a new key, which no cache keeps.
pub(super) fn created_page(
    app: &App,
    visitor: &Visitor,
    key: KeyRow,
    secret: Option<&str>,
    replaces: Option<Replaces>,
) -> Result<Response<Body>, Refusal> {
    let page = CreatedKeyPage { layout: &app.layout, key, secret, replaces };
    Ok(respond::no_store(visitor.show(app, StatusCode::OK, &page, FormsEnd::Here)?))
}

/// What the form asks for.
struct Asked {
    id: KeyId,
    seal: String,
    api: Arc<Api>,
    name: String,
    scopes: ScopeSet,
    lifetime: Duration,
}

impl Asked {
    /// A form that nobody has filled in. A scope is ticked only where there is no other one.
    fn new(app: &App, visitor: &Visitor, api: Arc<Api>) -> Self {
        let id = own::new_id(app);
        let seal = visitor.seal(app, id.as_str());
        let all: ScopeSet = offered(&api).map(|(scope, _)| scope.clone()).collect();
        let scopes = if all.iter().count() == 1 { all } else { ScopeSet::default() };
        Self { id, seal, name: String::new(), scopes, lifetime: DEFAULT_LIFETIME, api }
    }

    fn read(app: &App, visitor: &Visitor, form: &Parameters<'_>) -> Result<Self, Refusal> {
        let invalid = |name: &'static str| Refusal::new(Denial::ParameterInvalid).parameter(name);
        let id = KeyId::parse(form.required("id")?).map_err(|_| invalid("id"))?;
        let seal = form.required("seal")?;
        if !visitor.has_sealed(app, id.as_str(), seal) {
            return Err(Denial::FormExpired.into());
        }
        let name = form.required("api")?;
        let api = own::open_apis(app).into_iter().find(|api| api.metadata.name == name);
        let scopes: Result<ScopeSet, _> = form.all("scope").map(Scope::parse).collect();
        let days = form.optional("lifetime")?.and_then(|days| days.parse().ok()).unwrap_or(0);
        Ok(Self {
            id,
            seal: seal.to_owned(),
            api: api.ok_or_else(|| invalid("api"))?,
            name: form.optional("name")?.unwrap_or_default().to_owned(),
            scopes: scopes.map_err(|_| invalid("scope"))?,
            lifetime: Duration::from_secs(u64::from(u32::min(days, 100_000)) * 86_400),
        })
    }

    fn key(&self) -> NewOwnKey {
        NewOwnKey {
            id: self.id.clone(),
            name: self.name.clone(),
            api: self.api.metadata.name.clone(),
            scopes: self.scopes.clone(),
            lifetime: self.lifetime,
        }
    }

    /// The form again, where the password was not accepted.
    fn refused(
        &self,
        app: &App,
        visitor: &Visitor,
        session: &Session,
        refusal: Refusal,
    ) -> Result<Response<Body>, Refusal> {
        let Some(problems) = Problems::of_password(&refusal) else { return Err(refusal) };
        let mut response = self.render(app, visitor, session, refused::status(refusal.denial), problems)?;
        refused::retry_after(&mut response, &refusal);
        Ok(noting(response, refusal))
    }

    /// The form again, with its mistakes beside the fields.
    fn mistaken(
        &self,
        app: &App,
        visitor: &Visitor,
        session: &Session,
        mistakes: &[Mistake],
    ) -> Result<Response<Body>, Refusal> {
        let at = |member: &str| {
            let found = mistakes.iter().find(|mistake| mistake.pointer == format!("/{member}"))?;
            Some(found.detail.clone())
        };
        let mut problems =
            Problems { name: at("name"), scope: at("scope"), lifetime: at("lifetime"), ..Problems::default() };
        if problems.what_happened_nowhere() {
            let sentence = mistakes.first().map_or_else(String::new, |mistake| mistake.detail.clone());
            problems.whole = Some(("This key can't be created", sentence));
        }
        let refusal = Refusal::new(Denial::BodyInvalid).mistakes(mistakes);
        let response = self.render(app, visitor, session, refused::status(refusal.denial), problems)?;
        Ok(noting(response, refusal))
    }

    fn render(
        &self,
        app: &App,
        visitor: &Visitor,
        session: &Session,
        status: StatusCode,
        problems: Problems,
    ) -> Result<Response<Body>, Refusal> {
        let scope = |(scope, words): (&Scope, &str)| Choice {
            value: scope.to_string(),
            words: words.to_owned(),
            is_chosen: self.scopes.contains(scope.as_str()),
        };
        let lifetime = |lifetime: &Duration| {
            let days = lifetime.as_secs() / 86_400;
            let words = if days == 365 { "1 year".to_owned() } else { format!("{days} days") };
            Choice { value: days.to_string(), words, is_chosen: *lifetime == self.lifetime }
        };
        let page = NewKeyPage {
            layout: &app.layout,
            csrf: visitor.form_token(app),
            id: self.id.to_string(),
            seal: self.seal.clone(),
            username: session.user.metadata.username.clone(),
            api: self.api.metadata.name.clone(),
            name: self.name.clone(),
            scopes: offered(&self.api).map(scope).collect(),
            lifetimes: LIFETIMES.iter().map(lifetime).collect(),
            problems,
        };
        visitor.show(app, status, &page, FormsEnd::Here)
    }
}
