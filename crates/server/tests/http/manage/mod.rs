//! The management API over HTTP: a file per noun, and what they share.

mod apis;
mod audit;
mod client_limits;
mod clients;
mod departure;
mod dry_run;
mod grants;
mod if_match;
mod key_policy;
mod key_rotation;
mod keys;
mod keys_revoke;
pub(crate) mod manager;
mod narrowing;
mod operations;
mod others;
mod roles;
mod sessions;
mod signing_keys;
mod state;
mod users;
mod webhooks;
