//! `/account/keys`: the user's own API keys, and `/account/keys/{key_id}`: one of them, to be renamed or revoked.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
};
use doorward_core::{
    denial::Denial,
    form::Parameters,
    id::{KeyId, UserId},
    refusal::{Mistake, Refusal},
    scope::Scope,
};
use http::{HeaderMap, Response, StatusCode};

use super::{
    actions::act,
    done::Done,
    key_pages::{KeyPage, KeyRow, KeysPage, LeakedKey, RotationWords},
    rotation_words::state_in_words,
    usage_graph::UsageGraph,
};
use crate::{
    app::App,
    browser::{Cookie, Session, SignedIn, Visitor},
    manage::{
        ManageError,
        keys::{
            KeyState, KeyView,
            own::{self, OwnKeyDetails},
        },
    },
    pages::{security_headers::FormsEnd, time_in_words::Moment},
    web::{
        body::Form,
        refused::{PageError, noting, status},
    },
};

type Answer = Result<Response<Body>, PageError>;

/// Where the list is.
pub(super) const LIST: &str = "/account/keys";

/// `GET /account/keys`.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    headers: HeaderMap,
) -> Answer {
    let done = Done::read(&app, &headers);
    let page = KeysPage {
        layout: &app.layout,
        notice: match &done {
            Some(done) => Some(done.sentence(&app).await?),
            None => None,
        },
        leaked: own::leaked(&app, &session.user.id)
            .await
            .map_err(Refusal::from)?
            .iter()
            .filter_map(|key| leaked_key(&app, key, false))
            .collect(),
        keys: own::list(&app, &session.user.id)
            .await
            .map_err(Refusal::from)?
            .iter()
            .map(|key| row(&app, key))
            .collect(),
        can_create: !own::open_apis(&app).is_empty(),
    };
    let mut response = visitor.show(&app, StatusCode::OK, &page, FormsEnd::Here)?;
    if done.is_some() {
        Cookie::Done.clear(&app, response.headers_mut());
    }
    Ok(response)
}

/// `GET /account/keys/{key_id}`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    Path(id): Path<String>,
) -> Answer {
    let id = KeyId::parse(&id).map_err(|_| leading_back(Denial::IdUnknown.into()))?;
    let key = own::details(&app, &session.user.id, &id).await.map_err(|error| leading_back(error.into()))?;
    Ok(render(&app, &visitor, key, StatusCode::OK, None)?)
}

/// `POST /account/keys/rename`.
pub(super) async fn rename(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    form: Form<PageError>,
) -> Answer {
    let renamed = async {
        let parameters = form.parameters()?;
        visitor.check_form(&app, &parameters)?;
        let (user_id, id) = (&session.user.id, key_of(&parameters)?);
        let actor = form.origin.actor(user_id.as_str());
        let name = parameters.optional("name")?.unwrap_or_default();
        match own::rename(&app, &actor, user_id, &id, name).await {
            Ok(_) => Done::KeyRenamed.answer(&app),
            Err(ManageError::Mistakes(mistakes)) => again(&app, &visitor, user_id, &id, mistakes).await,
            Err(error) => Err(error.into()),
        }
    };
    renamed.await.map_err(leading_back)
}

/// `POST /account/keys/revoke`.
pub(super) async fn revoke(State(app): State<Arc<App>>, signed_in: SignedIn, form: Form<PageError>) -> Answer {
    act(&app, &signed_in, &form, async |session: &Session, actor, form: &Parameters<'_>| {
        own::revoke(&app, &actor, &session.user.id, &key_of(form)?).await?;
        Ok(Done::KeyRevoked)
    })
    .await
}

fn key_of(form: &Parameters<'_>) -> Result<KeyId, Refusal> {
    KeyId::parse(form.required("key")?).map_err(|_| Refusal::new(Denial::ParameterInvalid).parameter("key"))
}

/// Shows the page of a key again, with the mistake in its form.
async fn again(
    app: &App,
    visitor: &Visitor,
    user_id: &UserId,
    id: &KeyId,
    mistakes: Vec<Mistake>,
) -> Result<Response<Body>, Refusal> {
    let key = own::details(app, user_id, id).await?;
    let refusal = Refusal::new(Denial::BodyInvalid).mistakes(&mistakes);
    let first = mistakes.into_iter().next().map(|mistake| mistake.detail);
    Ok(noting(render(app, visitor, key, status(refusal.denial), first)?, refusal))
}

fn render(
    app: &App,
    visitor: &Visitor,
    details: OwnKeyDetails,
    status: StatusCode,
    mistake: Option<String>,
) -> Result<Response<Body>, Refusal> {
    let page = KeyPage {
        layout: &app.layout,
        csrf: visitor.form_token(app),
        key: row(app, &details.key),
        leaked: leaked_key(app, &details.key, details.no_rotation.is_none()),
        is_revoked: details.key.state == KeyState::Revoked,
        is_over: matches!(details.key.state, KeyState::Expired | KeyState::Revoked),
        usage: UsageGraph::of(&details.uses, app.now()),
        rotation: RotationWords::of(app, &details),
        mistake,
    };
    visitor.show(app, status, &page, FormsEnd::Here)
}

/// A key in the words of the page.
pub(super) fn row(app: &App, key: &KeyView) -> KeyRow {
    let now = app.now();
    let moment = |at| Moment { at, now };
    KeyRow {
        id: key.id.to_string(),
        name: key.name.clone(),
        hint: key.hint.clone(),
        apis: key.apis.join(", "),
        may: sentences(app, key),
        state: state_in_words(key),
        created: moment(key.created_at),
        expires: key.expires_at.map(moment),
        last_used: key.last_used_at.map(moment),
    }
}

/// A key that leaked, in the words of the page; `None` if it did not.
pub(super) fn leaked_key(app: &App, key: &KeyView, can_rotate: bool) -> Option<LeakedKey> {
    Some(LeakedKey {
        id: key.id.to_string(),
        name: key.name.clone(),
        hint: key.hint.clone(),
        found: Moment { at: key.leaked_at?, now: app.now() },
        source: key.leak_source.clone(),
        works: key.state == KeyState::Active,
        can_rotate,
    })
}

/// What the scopes of a key allow, each in its API's words.
fn sentences(app: &App, key: &KeyView) -> Vec<String> {
    let apis = app.snapshots.apis();
    let described = |scope: &Scope| {
        let of_apis = apis.iter().flat_map(|api| api.metadata.scopes.iter());
        let found = of_apis.into_iter().find(|described| described.scope == *scope);
        found.map_or_else(|| scope.to_string(), |described| described.description.clone())
    };
    key.scopes.iter().map(described).collect()
}

pub(super) fn leading_back(refusal: Refusal) -> PageError {
    PageError::from(refusal).leading(LIST, "Back to your API keys")
}
