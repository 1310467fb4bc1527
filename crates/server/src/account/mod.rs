//! The account: which applications and which browsers have access, and how to end it, by itself or at the request of
//! an application.

mod actions;
mod done;
mod logout;
mod page;
mod password;
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
        .route("/.well-known/change-password", get(password::well_known))
        .route("/account", get(show::handle))
        .route("/account/disconnect", post(actions::disconnect))
        .route("/account/end-session", post(actions::end_session))
        .route("/account/end-other-sessions", post(actions::end_other_sessions))
        .route("/account/password", get(password::show).post(password::submit))
        .route("/account/sign-out", post(actions::sign_out))
        .route("/logout", get(logout::begin).post(logout::forward))
        .route("/logout/confirm", post(logout::confirm))
        .route("/logout/continue", post(logout::proceed))
        .route("/signed-out", get(actions::signed_out))
}
