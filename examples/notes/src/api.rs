//! The notes API. Each route's requirement is beside the route. Bodies end with a newline, for a terminal's sake.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{
        DefaultBodyLimit, Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use doorward_guard::{Guard, Principal, scope};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::notes::{MAX_TEXT, NoteRefused, Notes};

/// JSON may write each byte of a text in six characters.
const MAX_BODY: usize = 6 * MAX_TEXT + 1024;

/// The routes of the API, with notes of their own behind them.
pub fn routes(guard: &Guard) -> Router {
    let read = guard.require(scope("notes:read"));
    let write = guard.require(scope("notes:write"));
    let administer = guard.require(scope("notes:write").and_role("admin"));
    Router::new()
        .route("/me", get(me))
        .route("/notes", get(list).layer(read).merge(post(add).layer(write)))
        .route("/notes/{id}", delete(remove).layer(administer))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(guard.layer())
        .route("/health", get(async || "ok\n"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Notes::with_a_first_note()))
}

/// A note to be kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    text: String,
}

async fn me(who: Principal) -> Response {
    document(&*who)
}

async fn list(State(notes): State<Arc<Notes>>) -> Response {
    document(&notes.list())
}

async fn add(State(notes): State<Arc<Notes>>, new: Result<Json<NewNote>, JsonRejection>) -> Result<Response, Problem> {
    let Json(new) = new?;
    let note = notes.add(new.text)?;
    let location = [(header::LOCATION, format!("/notes/{}", note.id))];
    Ok((StatusCode::CREATED, location, document(&note)).into_response())
}

async fn remove(State(notes): State<Arc<Notes>>, id: Result<Path<u64>, PathRejection>) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    match notes.delete(id) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem(StatusCode::NOT_FOUND, format!("there is no note {id}"))),
    }
}

async fn nowhere() -> Problem {
    Problem(StatusCode::NOT_FOUND, "there is nothing at this address".to_owned())
}

async fn wrong_method() -> Problem {
    Problem(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method".to_owned())
}

/// A body of JSON that ends with a newline.
fn document(content: &impl Serialize) -> Response {
    match serde_json::to_string(content) {
        Ok(json) => {
            let json_type = [(header::CONTENT_TYPE, "application/json")];
            (json_type, Body::from(json + "\n")).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What this API itself refuses, in the form in which the guard refuses: a problem document (RFC 9457).
struct Problem(StatusCode, String);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<NoteRefused> for Problem {
    fn from(refused: NoteRefused) -> Self {
        let status = match refused {
            NoteRefused::Empty => StatusCode::UNPROCESSABLE_ENTITY,
            NoteRefused::Full => StatusCode::INSUFFICIENT_STORAGE,
            NoteRefused::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self(status, refused.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, detail) = self;
        let problem = json!({"title": status.canonical_reason(), "status": status.as_u16(), "detail": detail});
        (status, [(header::CONTENT_TYPE, "application/problem+json")], document(&problem)).into_response()
    }
}
