//! The durable state of Doorward: operations on a database, each written once for SQLite and PostgreSQL.
//!
//! An [`Operation`] is a value with everything it needs inside. [`Store::write`] runs it in one transaction and
//! answers when the outcome is durable; [`Store::read`] runs it on a snapshot and never waits for a writer.
//! The SQL is one text for both engines. What others cache is announced by [`append_change`] in the same
//! transaction, and followed by [`Store::wait_for_change`].
//!
//! This crate must never know HTTP, nor decide: the rules are pure functions of `doorward-core`, called by the
//! operations between reading and writing. It draws no randomness and reads no clock for what it stores.
#![forbid(unsafe_code)]

// The engine.
mod belonging;
mod changes;
mod error;
mod folder;
mod load;
mod lock;
mod migrate;
mod postgres;
mod record;
mod sql;
mod sqlite;
mod store;
mod tx;
mod unchanged;

// The operations, a file per family.
pub mod apis;
pub mod assertions;
pub mod audit;
pub mod authorization;
pub mod backup;
pub mod clients;
pub mod codes;
pub mod failures;
pub mod grants;
pub mod health;
pub mod idempotency;
pub mod keys;
pub mod legacy;
pub mod passwords;
pub mod peppers;
pub mod refresh;
pub mod roles;
pub mod sessions;
pub mod signing_keys;
pub mod sweep;
pub mod together;
pub mod tokens;
pub mod trusted_clock;
pub mod users;
pub mod uses;
pub mod webhooks;

pub use belonging::{Belonging, ChangeIssuer};
pub use changes::{Change, ChangeKind, Committed, SweepChanges, append_change};
pub use error::StoreError;
pub use folder::{FolderError, check_folder, prepare_folder};
pub use load::{Connections, Load};
pub use lock::FolderLock;
pub use migrate::{Applied, KNOWN_SCHEMA};
pub use postgres::UnsafeDurability;
pub use record::Updated;
pub use sqlite::DATABASE;
pub use store::{Location, Store};
pub use tx::{Operation, Row, Tx, TxError, Urgency, Value};
pub use unchanged::{ChangesOne, IfUnchanged, Seen};
