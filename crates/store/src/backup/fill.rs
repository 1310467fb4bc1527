//! Filling an empty database from a backup, of whichever engine either is.
//!
//! From before the first change until after the last one a mark is in the table of migrations, and no start accepts a
//! database that has it: see [`Store::belonging`]. All rows come in one transaction, and are compared with the backup
//! before the schema is brought up to date.
//!
//! Easy to get wrong: a backup of an older version has the older schema. Its rows go into that one, which is migrated
//! afterwards, as the database itself would have been. And a server that was left running may have come, in the log of
//! changes, to the very position that the restored one has: the log is emptied, and continues far ahead, so that
//! every follower reads everything again.

use std::sync::Arc;

use doorward_core::{clock::Timestamp, digest::MasterKey};

use super::alone::Alone;
use super::archive::{Backup, STRIDE, Verified};
use super::issued::{EndedByRestore, Issued};
use super::mark::{FROM_A_BACKUP, IN_PLACE, Mark, SetMark};
use super::read::{Failure, give_up, taken};
use super::tables::{self, BATCH, Table};
use super::{BackupError, Contents, OnProgress, Progress};
use crate::StoreError;
use crate::audit::{AuditAction, AuditContext};
use crate::changes::leave_all_behind;
use crate::migrate::{KNOWN_SCHEMA, restoring};
use crate::store::Store;
use crate::trusted_clock::FindNewestTime;
use crate::tx::{Operation, Tx, TxError, Value};

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The rows that came from the backup.
    pub contents: Contents,
    /// What was ended of what had been issued; none if it was to be kept.
    pub ended: Option<EndedByRestore>,
}

impl Store {
    /// Refuses a database that holds data. What the migrations write themselves is none, and neither is what a restore
    /// left that was killed.
    pub async fn ensure_empty(&self) -> Result<(), BackupError> {
        holds(self.find_rows(false).await?)
    }

    /// Refuses a database that holds more than what a server has before anybody uses it.
    pub async fn ensure_unused(&self) -> Result<(), BackupError> {
        holds(self.find_rows(true).await?)
    }

    /// A table that holds data, with the number of its rows or a lower one. Where a restore was killed there is none.
    pub(crate) async fn find_rows(&self, is_new_server: bool) -> Result<Option<(String, u64)>, BackupError> {
        let found = self.schema_version().await?;
        match found {
            0 => Ok(None),
            1..=KNOWN_SCHEMA => Ok(self.read(FindRows { tables: tables::of_schema(found)?, is_new_server }).await?),
            _ => Err(StoreError::SchemaNewer { found, known: KNOWN_SCHEMA }.into()),
        }
    }

    /// Fills the database, and checks that it then holds what the backup does. Unless it is to be kept, what was issued
    /// before is ended.
    ///
    /// Whatever the database held is removed. The caller has made sure that no server works on it, and that it holds
    /// nothing that anybody needs: see [`Store::ensure_empty`].
    pub async fn restore(
        &self,
        alone: &Alone,
        verified: Verified,
        master_keys: Vec<MasterKey>,
        issued: Issued,
        audit: AuditContext,
        on_progress: &OnProgress,
    ) -> Result<Restored, BackupError> {
        let Verified { backup, contents } = verified;
        let (schema, id, created_at) = (backup.heading.schema, backup.heading.id.clone(), backup.heading.created_at);
        if schema > KNOWN_SCHEMA {
            return Err(BackupError::Newer(backup.heading.program.clone()));
        }
        let mark = Mark::new(FROM_A_BACKUP, audit.id.as_str());
        self.empty(&mark, schema).await?;
        alone.check()?;
        let failure = Failure::default();
        let fill = Fill {
            mark: mark.clone(),
            tables: tables::of_schema(schema)?,
            source: Arc::new((backup, master_keys)),
            on_progress: on_progress.clone(),
            failure: Arc::clone(&failure),
        };
        let outcome = self.write_long(fill).await;
        taken(&failure).map_or(outcome.map_err(BackupError::from), Err)?;
        self.ensure_holds(schema, &contents, on_progress).await?;
        alone.check()?;
        self.migrate().await?;
        let ended = self.end_restore(Ending { alone, mark, backup: &id, created_at }, issued, audit).await?;
        Ok(Restored { contents, ended })
    }

    /// Takes a database that was put into its place by other means, by PostgreSQL's recovery for example, for a restored
    /// one: ends what was issued before, unless it is to be kept. No server may work on it.
    pub async fn restore_in_place(
        &self,
        alone: &Alone,
        issued: Issued,
        audit: AuditContext,
    ) -> Result<Option<EndedByRestore>, BackupError> {
        let mark = Mark::new(IN_PLACE, audit.id.as_str());
        self.write(SetMark(mark.clone())).await?;
        let ending = Ending { alone, mark, backup: "in place", created_at: audit.at };
        self.end_restore(ending, issued, audit).await
    }

    /// Ends what was issued before, unless it is to be kept, and takes away the mark of a restore: from here on servers
    /// start on the database.
    async fn end_restore(
        &self,
        Ending { alone, mark, backup, created_at }: Ending<'_>,
        issued: Issued,
        audit: AuditContext,
    ) -> Result<Option<EndedByRestore>, BackupError> {
        let now = audit.at;
        let moment = match issued {
            Issued::Kept => None,
            Issued::EndedNow => Some(now),
            Issued::Ended => self.read(FindNewestTime).await?.max(Some(now.max(created_at))),
        };
        let ended = match moment {
            None => None,
            Some(moment) => Some(self.end_issued(now, moment).await?),
        };
        alone.check()?;
        self.write_long(EndRestore { mark, backup: backup.to_owned(), ended: ended.clone(), audit }).await?;
        Ok(ended)
    }

    /// Removes all tables, and creates those of a schema, with the mark of a restore.
    async fn empty(&self, mark: &Mark, schema: i64) -> Result<(), BackupError> {
        let found = self.schema_version().await?;
        if found > KNOWN_SCHEMA {
            return Err(StoreError::SchemaNewer { found, known: KNOWN_SCHEMA }.into());
        }
        self.write(SetMark(mark.clone())).await?;
        if found > 0 {
            let (mark, tables) = (mark.clone(), tables::of_schema(found)?);
            self.write_long(RemoveTables { mark, tables }).await?;
        }
        self.migrate_to(schema).await?;
        Ok(())
    }
}

/// A restore that finishes.
struct Ending<'a> {
    alone: &'a Alone,
    mark: Mark,
    backup: &'a str,
    /// When the backup was written.
    created_at: Timestamp,
}

fn holds(found: Option<(String, u64)>) -> Result<(), BackupError> {
    found.map_or(Ok(()), |(table, rows)| Err(BackupError::Holds { table, rows }))
}

/// A table that has rows beside those that the migrations write, or a new server, with their number or a lower one.
#[derive(Clone)]
struct FindRows {
    tables: Arc<[Table]>,
    is_new_server: bool,
}

impl Operation for FindRows {
    type Output = Option<(String, u64)>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        if restoring(tx).await? == Some(FROM_A_BACKUP) {
            return Ok(None);
        }
        // The last tables are those that refer to others, and the largest ones.
        for table in self.tables.iter() {
            let rows = tx.query_one(table.count_some, &[ENOUGH.into()]).await?.int()?;
            let rows = u64::try_from(rows).unwrap_or_default();
            let is_unused =
                self.is_new_server && UNUSED.iter().any(|(name, most)| *name == table.name && rows <= *most);
            if rows > table.initial_rows && !is_unused {
                return Ok(Some((table.name.clone(), rows)));
            }
        }
        Ok(None)
    }
}

/// How many rows a server that nobody has used has in a table, at most: those of the management API with its client, and of
/// signing keys, with the record of their making.
const UNUSED: &[(&str, u64)] = &[
    ("api_scopes", u64::MAX),
    ("apis", 1),
    ("audit", u64::MAX),
    ("audit_hours", u64::MAX),
    ("audit_tally", 1),
    ("changes", u64::MAX),
    ("clients", 1),
    ("signing_keys", u64::MAX),
    ("trusted_clock", 1),
];

/// Up to how many rows are counted to tell what a database holds.
const ENOUGH: i64 = 1_000;

/// Removes every table of a schema.
#[derive(Clone)]
struct RemoveTables {
    mark: Mark,
    tables: Arc<[Table]>,
}

impl Operation for RemoveTables {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        self.mark.hold(tx).await?;
        for table in self.tables.iter().rev() {
            tx.execute(table.drop, &[]).await?;
        }
        // With the columns that migrations gave it. The mark is there again before anybody can look.
        tx.execute("DROP TABLE schema_migrations", &[]).await?;
        SetMark(self.mark.clone()).run(tx).await
    }
}

/// Inserts every row of a backup.
#[derive(Clone)]
struct Fill {
    mark: Mark,
    tables: Arc<[Table]>,
    source: Arc<(Backup, Vec<MasterKey>)>,
    on_progress: OnProgress,
    failure: Failure,
}

impl Operation for Fill {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let give_up = |cause| give_up(&self.failure, cause);
        self.mark.hold(tx).await?;
        for table in self.tables.iter().rev() {
            tx.execute(table.delete, &[]).await?;
        }
        let (backup, master_keys) = &*self.source;
        let mut reader = backup.reader(master_keys).map_err(give_up)?;
        let (mut done, total) = (0, reader.total);
        let mut expected = self.tables.iter();
        while let Some(heading) = reader.next_table().map_err(give_up)? {
            let table = expected.next().filter(|table| table.name == heading.name && table.columns == heading.columns);
            let Some(table) = table else {
                let told = format!("the backup's tables do not match its schema: unexpected table {}", heading.name);
                return Err(give_up(BackupError::Inconsistent(told)));
            };
            let full = BATCH * table.columns.len();
            let mut batch: Vec<Value> = Vec::with_capacity(full);
            while reader.next_row(&heading, &mut batch).map_err(give_up)? {
                done += 1;
                if batch.len() == full {
                    tx.execute(table.insert_batch, &batch).await?;
                    batch.clear();
                }
                if done % STRIDE == 0 {
                    (self.on_progress)(Progress { step: "Restoring", table: &table.name, done, total });
                }
            }
            for row in batch.chunks(table.columns.len()) {
                tx.execute(table.insert, row).await?;
            }
        }
        match expected.next() {
            None => Ok(()),
            Some(table) => Err(give_up(BackupError::Inconsistent(format!("the backup has no table {}", table.name)))),
        }
    }
}

/// Removes the mark, and notes in the audit what was done.
#[derive(Clone)]
struct EndRestore {
    mark: Mark,
    backup: String,
    ended: Option<EndedByRestore>,
    audit: AuditContext,
}

impl Operation for EndRestore {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        self.mark.remove(tx).await?;
        let event = self.audit.event(AuditAction::BackupRestored).about(&self.backup);
        let event = match &self.ended {
            None => event.with("issued", "kept"),
            Some(ended) => event.with("issued", "ended").with("grants", ended.grants).with("sessions", ended.sessions),
        };
        event.append(tx).await?;
        leave_all_behind(tx, self.audit.at).await
    }
}
