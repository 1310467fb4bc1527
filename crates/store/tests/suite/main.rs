//! One suite, two engines: each test runs on SQLite, and on PostgreSQL when `DOORWARD_TEST_POSTGRES` holds the URL of
//! a superuser on a throwaway cluster.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect, its helpers too")]

// The engines.
mod backups;
mod budgets;
mod changes;
mod concurrency;
mod end;
mod harness;
mod log;
mod migrations;
mod recovery;
mod statements;
mod transactions;

// The operations.
mod audit;
mod audit_bounds;
mod audit_sums;
mod authorization;
mod codes;
mod crash;
mod deletion;
mod failures;
mod filter_plans;
mod filters;
mod grants;
mod key_events;
mod key_lists;
mod key_revocations;
mod key_rotation;
mod key_usage;
mod keys;
mod legacy;
mod lists;
mod proxy;
mod records;
mod refresh;
mod refresh_model;
mod revoked_grants;
mod secrets;
mod sessions;
mod signing_keys;
mod sweep;
mod tokens;
mod unusual_uses;
mod updates;
mod uses;
mod webhooks;
mod world;
