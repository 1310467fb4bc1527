//! The account: which applications and which browsers have access, and how to end it.

mod actions;
mod done;
mod page;
mod show;
mod user_agent;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/account", get(show::handle))
        .route("/account/disconnect", post(actions::disconnect))
        .route("/account/end-session", post(actions::end_session))
        .route("/account/end-other-sessions", post(actions::end_other_sessions))
        .route("/account/sign-out", post(actions::sign_out))
        .route("/signed-out", get(actions::signed_out))
}
