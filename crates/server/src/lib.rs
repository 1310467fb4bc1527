//! The authorization server: OAuth and OpenID Connect endpoints, the key service, sign-in, consent and account.
//!
//! A folder per capability; in it the handlers that parse and render, beside the functions that they call and that
//! the command line calls too. Rules are in `doorward-core`, SQL in `doorward-store`; neither belongs here.
//! Everything that a handler may use is a field of [`App`]; nothing is global, the issuer least of all.
#![forbid(unsafe_code)]

mod account;
pub mod admin;
pub mod app;
pub mod audit;
mod cache;
mod consent;
mod follow;
pub mod http;
pub mod keys;
mod oauth;
mod oidc;
mod pages;
pub mod passwords;
mod router;
pub mod run;
pub mod settings;
mod signin;
pub mod signing;
mod snapshot;
pub mod verifier;

pub use app::App;
pub use pages::accent::{Accent, InvalidAccent};
pub use settings::Settings;
