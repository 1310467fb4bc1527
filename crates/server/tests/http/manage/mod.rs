//! The management API over HTTP: a file per noun, and what they share.

mod apis;
mod audit;
mod clients;
mod grants;
mod if_match;
mod keys;
pub(crate) mod manager;
mod narrowing;
mod operations;
mod roles;
mod sessions;
mod signing_keys;
mod state;
mod users;
mod webhooks;
