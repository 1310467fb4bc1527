//! The pages about denials: what a refusal means and how to fix its cause, for everybody who follows the `type` of a
//! problem (RFC 9457 section 3.1.1). They are made from the list of denials, as the reference is, and need no network but this
//! server.

mod page;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/denials", get(page::list)).route("/denials/{code}", get(page::one))
}
