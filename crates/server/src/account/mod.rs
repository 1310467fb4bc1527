//! The account: which applications, browsers and API keys have access, and how to end it, by itself or at the request
//! of an application.

mod actions;
mod done;
mod key_pages;
mod keys;
mod logout;
mod new_key;
mod page;
mod password;
mod rotate_key;
mod rotation_words;
mod show;
mod usage_graph;
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
        .route("/account/keys", get(keys::list))
        .route("/account/keys/new", get(new_key::show).post(new_key::submit))
        .route("/account/keys/rename", post(keys::rename))
        .route("/account/keys/revoke", post(keys::revoke))
        .route("/account/keys/{key_id}", get(keys::show))
        .route("/account/keys/{key_id}/rotate", get(rotate_key::show).post(rotate_key::submit))
        .route("/account/password", get(password::show).post(password::submit))
        .route("/account/sign-out", post(actions::sign_out))
        .route("/logout", get(logout::begin).post(logout::forward))
        .route("/logout/confirm", post(logout::confirm))
        .route("/logout/continue", post(logout::proceed))
        .route("/signed-out", get(actions::signed_out))
}
