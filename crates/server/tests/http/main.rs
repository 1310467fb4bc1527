//! The server under test, black box: requests over TCP to a server in the test's own process, whose clock the tests
//! move. A file per route; what the routes share has files of its own.
//!
//! `DOORWARD_TEST_POSTGRES` names the URL of a superuser on a throwaway cluster; with it, the tests that depend on the
//! store run on PostgreSQL as well.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect, its helpers too")]

mod harness;

mod account;
mod account_key_rotation;
mod account_keys;
mod account_password;
mod audit_bounds;
mod authorize;
mod canary;
mod changed_apis;
mod consent;
mod denial_pages;
mod denials;
mod ended_scopes;
mod followed_log;
mod introspect;
mod jwks;
mod key_addresses;
mod key_limits;
mod key_usage;
mod keys_verify;
mod leaks;
mod legacy;
mod logout;
mod manage;
mod metadata;
mod metrics;
mod pages;
mod publishable_keys;
mod reference;
mod refusals;
mod requests_verify;
mod restart;
mod revoke;
mod sign_in;
mod store_away;
mod token;
mod transport;
mod unusual_uses;
mod userinfo;
mod webhooks;
