//! The guard as an API has it: requests over TCP to an axum service, in front of an issuer that can misbehave.

#![expect(clippy::unwrap_used, reason = "shared code is outside of test functions")]

mod api;
mod api_keys;
mod connections;
mod fake_issuer;
mod issuer_away;
mod jwts;
mod keys_in_browsers;
mod keys_in_query;
mod layers;
mod one_use;
mod opaque_tokens;
mod refusals;
mod resource_metadata;
mod seams;
mod time;
