//! Notes: a small API that Doorward protects, and a small app that a person signs in to.
//!
//! It is written as any user of `doorward-guard` would write a service, and knows Doorward's server only by its URL.
//! The API and the app share a port here for the demo's sake; they don't trust each other: the app calls the API over
//! HTTP with the token that it got.
//!
//! [`api`] is the protected service, `sign_in` and `callback` are the app's half of the authorization code flow,
//! [`app`] is its page.
#![forbid(unsafe_code)]

pub mod api;
pub mod app;
mod callback;
mod issuer;
pub mod notes;
mod page;
mod pending;
mod sample_app;
mod sign_in;

use axum::Router;
use doorward_guard::Guard;

pub use crate::sample_app::{InvalidSampleApp, SampleApp};

/// The README's program is compiled. Its other fences are not Rust's.
#[cfg(doctest)]
#[allow(rustdoc::invalid_codeblock_attributes, reason = "`ignore` with its reason is for the tests of the documents")]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The scopes of the notes API.
pub const SCOPES: &str = "notes:read notes:write";

/// The whole service. The guarded routes come last, so that the guard answers for addresses that no route has.
pub fn router(guard: &Guard, app: SampleApp) -> Router {
    sign_in::routes(app).merge(guard.metadata_router()).merge(api::routes(guard))
}
