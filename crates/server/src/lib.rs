//! The authorization server: OAuth and OpenID Connect endpoints, the key service, sign-in, consent and account.
//!
//! There is a folder per capability. It has the handlers that parse and render, and the functions that they and
//! the command line call. Rules are in `doorward-core`, SQL in `doorward-store`; neither belongs here.
//! Everything that a handler may use is a field of [`App`]. Nothing is global, especially not the issuer.
#![forbid(unsafe_code)]

// The base of everything else.
pub mod actor;
mod audit;
pub mod metrics;
mod origin;
mod pages;
pub mod passwords;
pub mod settings;
pub mod spans;
mod webhooks;

// The server, and what operators do with it.
pub mod app;
mod health;
pub mod manage;
pub mod monitoring;
pub mod tasks;
mod throttle;
pub mod verify;

// HTTP.
mod browser;
mod web;

// The endpoints and pages, a folder per capability.
mod account;
mod authorization;
mod consent;
mod denials;
mod oauth;
mod oidc;
mod router;
mod signin;
mod v1;

pub use app::App;
pub use pages::{
    Links,
    accent::{Accent, InvalidAccent},
    logo::{InvalidLogo, Logo},
};
pub use router::router;
pub use settings::Settings;
pub use v1::description;
