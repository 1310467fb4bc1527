//! The notes API. What each route demands stands beside the route.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use doorward_guard::{Guard, Principal, scope};
use serde::Deserialize;

use crate::notes::{MAX_TEXT, Note, NoteRefused, Notes};

/// JSON may write each byte of a text in six characters.
const MAX_BODY: usize = 6 * MAX_TEXT + 1024;

/// The routes of the API, with an empty set of notes behind them.
pub fn routes(guard: &Guard) -> Router {
    let read = guard.require(scope("notes:read"));
    let write = guard.require(scope("notes:write"));
    let administer = guard.require(scope("notes:write").and_role("admin"));
    Router::new()
        .route("/me", get(me))
        .route("/notes", get(list).layer(read).merge(post(add).layer(write)))
        .route("/notes/{id}", delete(remove).layer(administer))
        .layer(guard.layer())
        .route("/health", get(async || "ok\n"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Notes::default()))
}

/// A note to be kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    text: String,
}

async fn me(who: Principal) -> Response {
    Json(&*who).into_response()
}

async fn list(State(notes): State<Arc<Notes>>) -> Json<Vec<Note>> {
    Json(notes.list())
}

async fn add(State(notes): State<Arc<Notes>>, Json(new): Json<NewNote>) -> Result<Response, NoteRefused> {
    let note = notes.add(new.text)?;
    let location = [(header::LOCATION, format!("/notes/{}", note.id))];
    Ok((StatusCode::CREATED, location, Json(note)).into_response())
}

async fn remove(State(notes): State<Arc<Notes>>, Path(id): Path<u64>) -> StatusCode {
    if notes.delete(id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

impl IntoResponse for NoteRefused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Empty => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        };
        (status, format!("{self}\n")).into_response()
    }
}
