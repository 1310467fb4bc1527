//! One suite, two engines: each test runs on SQLite, and on PostgreSQL when `DOORWARD_TEST_POSTGRES` holds the URL of
//! a superuser on a throwaway cluster.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect, its helpers too")]

mod changes;
mod concurrency;
mod harness;
mod migrations;
mod recovery;
mod statements;
mod transactions;
