//! `POST /v1/audit/refusals`: guards deliver what they refused, so that `explain` knows the API's refusals too.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{denial::Denial, event::RefusalEvent, refusal::Refusal};
use http::{Request, Response, StatusCode};

use crate::{
    app::App,
    oauth::client_authentication,
    origin::Origin,
    web::{body, refused::ProblemError, respond},
};

/// The most events in one delivery.
const MOST: usize = 500;

pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let api = client_authentication::api(&app, &Origin::of(&head), &head).await?;
    let mut events: Vec<RefusalEvent> = body::json(&app, &head, body, "a list of refusals").await?;
    if events.len() > MOST {
        return Err(Refusal::new(Denial::BodyMalformed).fact("refusals", "too many in one delivery").into());
    }
    for event in &mut events {
        // An API speaks for itself alone, and for the present.
        event.at = api.metadata.identifier.to_string();
        event.at_ms = event.at_ms.clamp(app.now().as_millis() - 3_600_000, app.now().as_millis());
        event.path = bounded(event.path.split('?').next().unwrap_or_default(), RefusalEvent::MAX_PATH);
        event.method = bounded(&event.method, 16);
        event.facts.truncate(16);
        for (name, value) in &mut event.facts {
            (*name, *value) = (bounded(name, 64), bounded(value, 256));
        }
        event.principal = event.principal.take().map(|principal| bounded(&principal, 64));
        event.address = event.address.take().map(|address| bounded(&address, 64));
    }
    app.note_delivered(events);
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// At most so many characters, none of them a control character.
fn bounded(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}
