//! The pages about denials: what a refusal means and how to fix its cause, for everyone who follows the `type` of a
//! problem (RFC 9457 section 3.1.1). They are generated from the list of denials, like the reference, and need no
//! network except this server.

mod page;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/denials", get(page::list)).route("/denials/{code}", get(page::one))
}
