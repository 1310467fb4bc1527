//! The schema's history: numbered SQL files, applied once each, forward only, each in its own transaction.
//!
//! Two processes may start at once. Each step takes the lock first and then reads the version again; the lock is
//! SQLite's one writer, and an advisory lock in PostgreSQL.
//!
//! While nodes are replaced one by one, those of the older version work on the newer schema: a migration adds and changes
//! nothing that they use. It says for itself from which version of the program on it can be used.
//!
//! Easy to get wrong: a migration that was released is never edited. A new file gets the next number.

use crate::error::StoreError;
use crate::store::{Engine, Store};
use crate::tx::{Operation, Tx, TxError, Urgency};

struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
    /// The oldest schema whose programs can work on this one. A migration that only adds has that of the one before it.
    usable_from: i64,
}

impl Migration {
    /// A migration that needs programs that know it.
    const fn new(number: i64, name: &'static str, sql: &'static str) -> Migration {
        Migration { number, name, sql, usable_from: number }
    }
}

const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "changes", include_str!("../migrations/0001_changes.sql")),
    Migration::new(2, "foundation", include_str!("../migrations/0002_foundation.sql")),
    Migration::new(3, "open_requests", include_str!("../migrations/0003_open_requests.sql")),
    Migration::new(4, "refresh_seals", include_str!("../migrations/0004_refresh_seals.sql")),
    Migration::new(5, "refresh_chains", include_str!("../migrations/0005_refresh_chains.sql")),
    Migration::new(6, "ended_client_tokens", include_str!("../migrations/0006_ended_client_tokens.sql")),
    Migration::new(7, "metadata", include_str!("../migrations/0007_metadata.sql")),
    Migration::new(8, "production", include_str!("../migrations/0008_production.sql")),
    Migration::new(9, "grants_begin_at_redemption", include_str!("../migrations/0009_grants_begin_at_redemption.sql")),
    Migration { usable_from: 9, ..Migration::new(10, "bounds", include_str!("../migrations/0010_bounds.sql")) },
    Migration {
        usable_from: 9,
        ..Migration::new(11, "open_requests_of_a_user", include_str!("../migrations/0011_open_requests_of_a_user.sql"))
    },
    Migration {
        usable_from: 9,
        ..Migration::new(12, "audit_filters", include_str!("../migrations/0012_audit_filters.sql"))
    },
    Migration {
        usable_from: 9,
        ..Migration::new(13, "audit_bounds", include_str!("../migrations/0013_audit_bounds.sql"))
    },
    Migration { usable_from: 9, ..Migration::new(14, "audit_sums", include_str!("../migrations/0014_audit_sums.sql")) },
    Migration {
        usable_from: 9,
        ..Migration::new(15, "list_filters", include_str!("../migrations/0015_list_filters.sql"))
    },
    // Nodes of an older version would let removed scopes and deleted APIs and users in.
    Migration::new(16, "updates_and_deletion", include_str!("../migrations/0016_updates_and_deletion.sql")),
    Migration::new(17, "idempotency", include_str!("../migrations/0017_idempotency.sql")),
    Migration {
        usable_from: 17,
        ..Migration::new(18, "consents_of_one_client", include_str!("../migrations/0018_consents_of_one_client.sql"))
    },
    // Nodes of an older version would let disabled keys in, and could not read a key of a customer.
    Migration::new(19, "keys_disabled", include_str!("../migrations/0019_keys_disabled.sql")),
    // Nodes of an older version would not see the limits of clients.
    Migration::new(20, "client_limits", include_str!("../migrations/0020_client_limits.sql")),
    Migration {
        usable_from: 20,
        ..Migration::new(21, "legacy_uses", include_str!("../migrations/0021_legacy_uses.sql"))
    },
    // Nodes of an older version would let keys in from everywhere, and without a limit.
    Migration::new(22, "key_limits", include_str!("../migrations/0022_key_limits.sql")),
    // Nodes of an older version would create keys that live for longer than their API allows.
    Migration::new(23, "key_rotations", include_str!("../migrations/0023_key_rotations.sql")),
    Migration {
        usable_from: 23,
        ..Migration::new(24, "leaked_keys", include_str!("../migrations/0024_leaked_keys.sql"))
    },
    Migration { usable_from: 23, ..Migration::new(25, "webhooks", include_str!("../migrations/0025_webhooks.sql")) },
    // Nodes of an older version would create keys that a filter by API, creator or time does not find.
    Migration::new(26, "key_apis_and_creators", include_str!("../migrations/0026_key_apis_and_creators.sql")),
    Migration {
        usable_from: 26,
        ..Migration::new(27, "unusual_key_uses", include_str!("../migrations/0027_unusual_key_uses.sql"))
    },
];

/// The first migration that notes from where on it can be used.
const NOTES_FROM: i64 = 8;

/// Every statement of the migrations up to one of them, and before them that which every database begins with.
pub(crate) fn statements_up_to(target: i64) -> impl Iterator<Item = &'static str> {
    let migrations = MIGRATIONS.iter().take_while(move |migration| migration.number <= target);
    std::iter::once(CREATE_TABLE).chain(migrations.flat_map(|migration| statements(migration.sql)))
}

/// The newest migration that this program knows.
pub const KNOWN_SCHEMA: i64 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// What [`Store::migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The schema's version before; 0 for an empty database.
    pub from: i64,
    /// The schema's version now.
    pub to: i64,
}

impl Store {
    /// Brings the schema to [`KNOWN_SCHEMA`]. Does nothing when it is there already.
    ///
    /// # Errors
    /// [`StoreError::SchemaNewer`] when a newer program has migrated the database.
    pub async fn migrate(&self) -> Result<Applied, StoreError> {
        self.migrate_to(KNOWN_SCHEMA).await
    }

    /// Brings the schema to an earlier version than the newest: for tests of what an upgrade finds.
    pub async fn migrate_to(&self, target: i64) -> Result<Applied, StoreError> {
        let mut first = None;
        loop {
            let step = Step { target, before: self.before_migration() };
            let (found, done) = self.write(step).await?;
            if found > KNOWN_SCHEMA {
                self.check_schema().await?;
            }
            let from = *first.get_or_insert(found);
            if done {
                return Ok(Applied { from, to: found });
            }
        }
    }

    /// The newest migration that was applied; 0 for an empty database. Changes nothing.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        Ok(self.schema().await?.version)
    }

    async fn schema(&self) -> Result<Schema, StoreError> {
        self.read(Version { catalogue: self.catalogue() }).await
    }

    /// The statement that finds a row if there is a table of migrations.
    pub(crate) fn catalogue(&self) -> &'static str {
        match &*self.engine {
            // The engines have no catalogue in common.
            Engine::Postgres(_) => {
                "SELECT 1 AS found FROM pg_catalog.pg_class
                 WHERE oid = to_regclass('schema_migrations')"
            }
            Engine::Sqlite(_) => {
                "SELECT 1 AS found FROM sqlite_schema
                 WHERE type = 'table' AND name = 'schema_migrations'"
            }
        }
    }

    /// Refuses a database that this program can't work on as it is: for programs that don't migrate it. Gives the schema's
    /// version, which is newer than this program where another node was upgraded before.
    ///
    /// # Errors
    /// [`StoreError::Restoring`], [`StoreError::SchemaBehind`], [`StoreError::SchemaNewer`].
    pub async fn check_schema(&self) -> Result<i64, StoreError> {
        let Schema { version: found, usable_from, is_restoring } = self.schema().await?;
        let known = KNOWN_SCHEMA;
        if usable_from > known {
            Err(StoreError::SchemaNewer { found, known })
        } else if is_restoring {
            Err(StoreError::Restoring)
        } else if found < known {
            Err(StoreError::SchemaBehind { found, known })
        } else {
            Ok(found)
        }
    }

    /// What must precede a step on this engine.
    fn before_migration(&self) -> &'static [&'static str] {
        match &*self.engine {
            // Waiting for another process's migration, and a long one, are no reason to give up. The number is the
            // lock's name, nothing more.
            Engine::Postgres(_) => &[
                "SET LOCAL lock_timeout = 0",
                "SET LOCAL statement_timeout = 0",
                // In the texts of migrations a backslash is one, whatever the database's own default.
                "SET LOCAL standard_conforming_strings = on",
                "SELECT pg_advisory_xact_lock(4919131752989213764)",
            ],
            // BEGIN IMMEDIATE holds the only lock there is.
            Engine::Sqlite(_) => &[],
        }
    }
}

/// Applies the next migration, if there is one. Gives the version found, and whether it was the last step.
#[derive(Clone)]
struct Step {
    target: i64,
    before: &'static [&'static str],
}

impl Operation for Step {
    type Output = (i64, bool);

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<(i64, bool), TxError> {
        for statement in self.before {
            tx.execute(statement, &[]).await?;
        }
        tx.execute(CREATE_TABLE, &[]).await?;
        let version = newest(tx).await?;
        let Some(next) =
            MIGRATIONS.iter().find(|migration| migration.number > version && migration.number <= self.target)
        else {
            return Ok((version, true));
        };
        for statement in statements(next.sql) {
            tx.execute(statement, &[]).await?;
        }
        let (number, name) = (next.number.into(), next.name.into());
        if next.number < NOTES_FROM {
            tx.execute("INSERT INTO schema_migrations (number, name) VALUES ($1, $2)", &[number, name]).await?;
        } else {
            let sql = "INSERT INTO schema_migrations (number, name, usable_from) VALUES ($1, $2, $3)";
            tx.execute(sql, &[number, name, next.usable_from.into()]).await?;
        }
        Ok((version, false))
    }
}

/// What a program must know of a database's schema before it works on it.
struct Schema {
    version: i64,
    /// The oldest schema whose programs can work on this one.
    usable_from: i64,
    /// Whether a restore is under way.
    is_restoring: bool,
}

#[derive(Clone)]
struct Version {
    catalogue: &'static str,
}

impl Operation for Version {
    type Output = Schema;

    const URGENCY: Urgency = Urgency::Vital;

    async fn run(&self, tx: &mut impl Tx) -> Result<Schema, TxError> {
        if tx.query(self.catalogue, &[]).await?.is_empty() {
            return Ok(Schema { version: 0, usable_from: 0, is_restoring: false });
        }
        let (version, is_restoring) = (newest(tx).await?, restoring(tx).await?.is_some());
        if version < NOTES_FROM {
            return Ok(Schema { version, usable_from: version, is_restoring });
        }
        let sql = "SELECT max(coalesce(usable_from, number)) FROM schema_migrations";
        Ok(Schema { version, usable_from: tx.query_one(sql, &[]).await?.int()?, is_restoring })
    }
}

pub(crate) async fn newest(tx: &mut impl Tx) -> Result<i64, TxError> {
    tx.query_one("SELECT coalesce(max(number), 0) FROM schema_migrations WHERE number > 0", &[]).await?.int()
}

/// What every database begins with.
pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number bigint NOT NULL PRIMARY KEY,
    name text NOT NULL
)";

/// The mark of a restore that is under way or was killed. No migration has its number.
pub(crate) async fn restoring(tx: &mut impl Tx) -> Result<Option<i64>, TxError> {
    let mark = tx.query_one("SELECT max(number) FROM schema_migrations WHERE number < 0", &[]).await?.opt_int()?;
    Ok(mark)
}

/// The statements of a migration, without the semicolons between them.
///
/// Knows quotes and comments, which may hold semicolons. Knows no dollar quoting and no trigger bodies, which are
/// not SQL of both engines.
fn statements(sql: &'static str) -> Vec<&'static str> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let (mut start, mut at, mut code) = (0, 0, false);
    while at < bytes.len() {
        let length = match bytes[at] {
            b'\'' | b'"' => {
                code = true;
                // A doubled quote is the end of one string and the start of the next, which comes to the same.
                past(&sql[at + 1..], &sql[at..=at]).saturating_add(1)
            }
            b'-' if bytes[at..].starts_with(b"--") => past(&sql[at..], "\n"),
            b'/' if bytes[at..].starts_with(b"/*") => past(&sql[at + 2..], "*/").saturating_add(2),
            b';' => {
                if code {
                    found.push(sql[start..at].trim());
                }
                (start, code) = (at + 1, false);
                1
            }
            byte => {
                code |= !byte.is_ascii_whitespace();
                1
            }
        };
        at = at.saturating_add(length);
    }
    if code {
        found.push(sql[start..].trim());
    }
    found
}

/// How much of the text is over once `end` has been read; all of it when there is none.
fn past(text: &str, end: &str) -> usize {
    text.find(end).map_or(text.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests {
    use super::{KNOWN_SCHEMA, MIGRATIONS, statements};

    #[test]
    fn migrations_are_numbered_upwards_from_one() {
        // A number can be missing for as long as its work is not merged.
        let numbers: Vec<_> = MIGRATIONS.iter().map(|m| m.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&KNOWN_SCHEMA)));
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let sql = "-- one; two\nA ';''' \";\" /* ; */ ;\n\n ; B -- last;\n";
        assert_eq!(statements(sql), ["-- one; two\nA ';''' \";\" /* ; */", "B -- last;"]);
        assert_eq!(statements("A; -- nothing; follows"), ["A"]);
        assert_eq!(statements("A 'é;'; B"), ["A 'é;'", "B"]);
        assert!(statements(" ;; \n").is_empty());
    }

    #[test]
    fn an_open_quote_or_comment_reaches_to_the_end() {
        assert_eq!(statements("A 'x; B"), ["A 'x; B"]);
        assert_eq!(statements("A; B /* x; C"), ["A", "B /* x; C"]);
    }
}
