//! `/account/keys/{key_id}/rotate`: a successor of an own API key, after the password (OWASP ASVS 5.0, V7.5.1).
//!
//! As with a new key, the answer to the form is the page with the successor, which is shown this once, and the form carries the
//! id of the successor, so that one form makes one successor.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
};
use doorward_core::{
    denial::Denial,
    form::Parameters,
    id::{KeyId, UserId},
    refusal::{Mistake, Refusal},
    secret::SecretString,
};
use http::{Response, StatusCode};

use super::{
    key_pages::{Choice, Problems, Replaces, RotateKeyPage},
    keys::{LIST, leading_back, row},
    new_key::created_page,
    rotation_words::span,
};
use crate::{
    app::App,
    browser::{Session, SignedIn, Visitor},
    manage::{
        ManageError,
        keys::{
            KeyState,
            own::{self, NoRotation, OwnRotation, OwnSuccessor, RotationOffer},
        },
    },
    pages::{security_headers::FormsEnd, time_in_words::Moment},
    signin::password,
    web::{
        body::Form,
        refused::{self, PageError, noting},
        respond,
    },
};

type Answer = Result<Response<Body>, PageError>;

/// `GET /account/keys/{key_id}/rotate`. A key that can't be rotated leads to its page, which says why.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    Path(id): Path<String>,
) -> Answer {
    let shown = async {
        let id = key_id(&id)?;
        match own::offer_rotation(&app, &session.user.id, &id).await? {
            Ok(offer) => {
                let form = RotationForm::new(&app, &visitor, &session, &offer);
                form.render(&offer, StatusCode::OK, Problems::default())
            }
            Err(_) => Ok(respond::redirect(&format!("{LIST}/{id}"))?),
        }
    };
    shown.await.map_err(leading_back)
}

/// `POST /account/keys/{key_id}/rotate`.
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    SignedIn { visitor, session }: SignedIn,
    Path(id): Path<String>,
    form: Form<PageError>,
) -> Answer {
    let answered = async {
        let (id, parameters) = (key_id(&id)?, form.parameters()?);
        visitor.check_form(&app, &parameters)?;
        let asked = RotationForm::read(&app, &visitor, &session, &parameters)?;
        let (user_id, username) = (&session.user.id, &session.user.metadata.username);
        let password = SecretString::from(parameters.optional("password")?.unwrap_or_default());
        if let Err(refusal) = password::check(&app, &form.origin, &form.head.headers, username, password).await {
            let Some(problems) = Problems::of_password(&refusal) else { return Err(refusal) };
            return asked.again(user_id, &id, refusal, problems).await;
        }
        let actor = form.origin.actor(user_id.as_str());
        let wanted = OwnRotation { successor: asked.successor.clone(), overlap: asked.overlap };
        match own::rotate(&app, &actor, user_id, &id, &wanted).await {
            Ok(OwnSuccessor::Created(created)) => {
                let (key, replaces) = (row(&app, &created.view), replaces(&app, user_id, &id).await?);
                created_page(&app, &visitor, key, Some(created.key.reveal()), Some(replaces))
            }
            Ok(OwnSuccessor::Before(key)) => {
                let replaces = replaces(&app, user_id, &id).await?;
                created_page(&app, &visitor, row(&app, &key), None, Some(replaces))
            }
            Ok(OwnSuccessor::Refused(why)) => asked.refused(&id, &why),
            Err(ManageError::Mistakes(mistakes)) => {
                let refusal = Refusal::new(Denial::BodyInvalid).mistakes(&mistakes);
                let overlap = mistakes.into_iter().next().map(|mistake: Mistake| mistake.detail);
                asked.again(user_id, &id, refusal, Problems { overlap, ..Problems::default() }).await
            }
            Err(error) => Err(error.into()),
        }
    };
    answered.await.map_err(leading_back)
}

fn key_id(text: &str) -> Result<KeyId, Refusal> {
    KeyId::parse(text).map_err(|_| Denial::IdUnknown.into())
}

/// The key that is replaced, and until when it works.
async fn replaces(app: &App, user_id: &UserId, id: &KeyId) -> Result<Replaces, Refusal> {
    let key = own::show(app, user_id, id).await?;
    let until = key.expires_at.filter(|_| key.state == KeyState::Active);
    Ok(Replaces { hint: key.hint, until: until.map(|at| Moment { at, now: app.now() }) })
}

/// The form, with what was chosen in it.
struct RotationForm<'a> {
    app: &'a App,
    visitor: &'a Visitor,
    session: &'a Session,
    successor: KeyId,
    seal: String,
    overlap: Duration,
}

impl<'a> RotationForm<'a> {
    /// A form that nobody has filled in. A key that leaked ends at once, unless the user chooses otherwise.
    fn new(app: &'a App, visitor: &'a Visitor, session: &'a Session, offer: &RotationOffer) -> Self {
        let successor = own::new_id(app);
        let seal = visitor.seal(app, successor.as_str());
        let overlap = if offer.key.leaked_at.is_some() { Duration::ZERO } else { offer.overlap };
        Self { app, visitor, session, successor, seal, overlap }
    }

    fn read(app: &'a App, visitor: &'a Visitor, session: &'a Session, form: &Parameters<'_>) -> Result<Self, Refusal> {
        let invalid = |name: &'static str| Refusal::new(Denial::ParameterInvalid).parameter(name);
        let successor = KeyId::parse(form.required("id")?).map_err(|_| invalid("id"))?;
        let seal = form.required("seal")?;
        if !visitor.has_sealed(app, successor.as_str(), seal) {
            return Err(Denial::FormExpired.into());
        }
        let overlap = form.required("overlap")?.parse().map_err(|_| invalid("overlap"))?;
        let overlap = Duration::from_secs(overlap);
        Ok(Self { app, visitor, session, successor, seal: seal.to_owned(), overlap })
    }

    /// The form again, with what was wrong in it.
    async fn again(
        &self,
        user_id: &UserId,
        id: &KeyId,
        refusal: Refusal,
        problems: Problems,
    ) -> Result<Response<Body>, Refusal> {
        let offer = match own::offer_rotation(self.app, user_id, id).await? {
            Ok(offer) => offer,
            Err(why) => return self.refused(id, &why),
        };
        let mut response = self.render(&offer, refused::status(refusal.denial), problems)?;
        refused::retry_after(&mut response, &refusal);
        Ok(noting(response, refusal))
    }

    /// To the page of the key, which says how far its rotation is, or to that of the key that has to end first.
    fn refused(&self, id: &KeyId, why: &NoRotation) -> Result<Response<Body>, Refusal> {
        let page = match why {
            NoRotation::PredecessorIsOpen(predecessor) => predecessor,
            NoRotation::HasSuccessor(_) | NoRotation::NotActive | NoRotation::NotForUsers => id,
        };
        respond::redirect(&format!("{LIST}/{page}"))
    }

    fn render(&self, offer: &RotationOffer, status: StatusCode, problems: Problems) -> Result<Response<Body>, Refusal> {
        let overlap = |overlap: &Duration| Choice {
            value: overlap.as_secs().to_string(),
            words: if overlap.is_zero() { "At once".to_owned() } else { format!("After {}", span(*overlap)) },
            is_chosen: *overlap == self.overlap,
        };
        let page = RotateKeyPage {
            layout: &self.app.layout,
            csrf: self.visitor.form_token(self.app),
            key: row(self.app, &offer.key),
            id: self.successor.to_string(),
            seal: self.seal.clone(),
            username: self.session.user.metadata.username.clone(),
            overlaps: offer.overlaps.iter().map(overlap).collect(),
            quiet_for: span(offer.quiet_for),
            problems,
        };
        self.visitor.show(self.app, status, &page, FormsEnd::Here)
    }
}
