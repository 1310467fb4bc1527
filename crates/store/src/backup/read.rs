//! Reading a whole database at one moment, in pages, on one snapshot.
//!
//! Easy to get wrong: on SQLite the log grows for as long as a snapshot is read, because nothing that it needs may be
//! copied over. So nothing is done between two pages but writing the first.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use doorward_core::{clock::Timestamp, digest::MasterKey, random::Rng, secret::SecretString};

use super::archive::{Heading, TableHeading, Writer};
use super::rows::{Tally, encode};
use super::tables::{self, Table};
use super::{BackupError, Contents, Enclosed, OnProgress, Progress};
use crate::StoreError;
use crate::audit::{AuditAction, AuditContext};
use crate::migrate::{KNOWN_SCHEMA, newest};
use crate::store::{Engine, Store};
use crate::tx::{Operation, Tx, TxError, Value};

/// The inputs of a new backup.
pub struct NewBackup<'a> {
    /// The time for the heading.
    pub created_at: Timestamp,
    /// The issuer of the server that it belongs to.
    pub issuer: String,
    /// The version of the program.
    pub program: String,
    /// The master keys, the newest first; the backup opens with that one.
    pub master_keys: &'a [MasterKey],
    /// Includes the master keys, under this passphrase.
    pub passphrase: Option<&'a SecretString>,
    /// The random source for its id and its keys.
    pub rng: &'a dyn Rng,
}

impl Store {
    /// Writes everything that the database holds at one moment into `file`, which is on the disk when this returns.
    /// Others can keep working on the database.
    pub async fn back_up(
        &self,
        file: File,
        new: &NewBackup<'_>,
        on_progress: &OnProgress,
    ) -> Result<(Heading, Contents), BackupError> {
        let master_key = new.master_keys.first();
        let master_key = master_key.ok_or_else(|| BackupError::Fault("no master key is given".to_owned()))?;
        let schema = self.schema_version().await?;
        if schema > KNOWN_SCHEMA {
            return Err(StoreError::SchemaNewer { found: schema, known: KNOWN_SCHEMA }.into());
        }
        if schema == 0 {
            return Err(BackupError::Inconsistent("the database is empty: there is nothing to back up".to_owned()));
        }
        let id = Heading::new_id(new.rng);
        let seal = |passphrase| Enclosed::seal(new.master_keys, passphrase, &id, new.rng);
        let heading = Heading {
            created_at: new.created_at,
            issuer: new.issuer.clone(),
            schema,
            engine: self.engine_name().to_owned(),
            program: new.program.clone(),
            master_key: master_key.id(),
            enclosed: new.passphrase.map(seal).transpose()?,
            id,
        };
        let writer = Writer::begin(file, &heading, master_key)?;
        let (writer, contents) = self.read_all(schema, Some(writer), on_progress).await?;
        if let Some(writer) = writer {
            writer.end()?;
        }
        Ok((heading, contents))
    }

    /// Reads all that the database holds, in the schema of these contents, and fails if that is something else.
    pub async fn ensure_holds(
        &self,
        schema: i64,
        contents: &Contents,
        on_progress: &OnProgress,
    ) -> Result<(), BackupError> {
        contents.ensure_equal(&self.read_all(schema, None, on_progress).await?.1)
    }

    async fn read_all(
        &self,
        schema: i64,
        writer: Option<Writer>,
        on_progress: &OnProgress,
    ) -> Result<(Option<Writer>, Contents), BackupError> {
        let step = if writer.is_some() { "Backing up" } else { "Comparing" };
        let failure = Arc::default();
        let read = ReadAll {
            schema,
            tables: tables::of_schema(schema)?,
            step,
            writer: Arc::new(Mutex::new(Some(writer))),
            on_progress: on_progress.clone(),
            failure: Arc::clone(&failure),
        };
        let outcome = self.read_long(read).await;
        taken(&failure).map_or(outcome.map_err(BackupError::from), Err)
    }

    fn engine_name(&self) -> &'static str {
        match &*self.engine {
            Engine::Postgres(_) => "postgresql",
            Engine::Sqlite(_) => "sqlite",
        }
    }
}

/// What kept an operation from being done, beside what its transaction says.
pub(super) type Failure = Arc<Mutex<Option<BackupError>>>;

/// Keeps the cause, and ends the operation.
pub(super) fn give_up(failure: &Failure, cause: BackupError) -> TxError {
    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    TxError::Defect("the backup can't go on".to_owned())
}

pub(super) fn taken(failure: &Failure) -> Option<BackupError> {
    failure.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Reads every table, and writes it into a backup if there is one.
#[derive(Clone)]
struct ReadAll {
    schema: i64,
    tables: Arc<[Table]>,
    step: &'static str,
    /// Taken by the first run. Another would write the rows twice.
    writer: Arc<Mutex<Option<Option<Writer>>>>,
    on_progress: OnProgress,
    failure: Failure,
}

impl Operation for ReadAll {
    type Output = (Option<Writer>, Contents);

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let give_up = |cause| give_up(&self.failure, cause);
        let first = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut writer) = first else {
            return Err(TxError::Unavailable("the database began the backup twice: run it again".to_owned()));
        };
        if newest(tx).await? != self.schema {
            return Err(TxError::Unavailable("the database was migrated meanwhile: run this again".to_owned()));
        }
        let mut counts = Vec::new();
        for table in &*self.tables {
            counts.push(count(tx, table).await?);
        }
        let total = counts.iter().sum();
        if let Some(writer) = &mut writer {
            writer.total(total).map_err(give_up)?;
        }
        let (mut contents, mut done) = (Contents::default(), 0);
        for (table, rows) in self.tables.iter().zip(counts) {
            let mut pages = Pages::of(table);
            let (mut tally, mut row) = (Tally::default(), Vec::new());
            if let Some(writer) = &mut writer {
                let heading = TableHeading { name: table.name.clone(), columns: table.columns.clone(), rows };
                writer.begin_table(&heading).map_err(give_up)?;
            }
            while let Some(page) = pages.next(tx).await? {
                done += page.len() as u64;
                for values in page {
                    match &mut writer {
                        Some(writer) => writer.row(&values).map_err(give_up)?,
                        None => {
                            encode(&values, &mut row).map_err(give_up)?;
                            tally.add(&row);
                        }
                    }
                }
                (self.on_progress)(Progress { step: self.step, table: &table.name, done, total });
            }
            if let Some(writer) = &mut writer {
                tally = writer.end_table().map_err(give_up)?;
            }
            if tally.rows != rows {
                let told = format!("{} of {rows} rows of {} were read: run this again", tally.rows, table.name);
                return Err(give_up(BackupError::Inconsistent(told)));
            }
            contents.tables.push((table.name.clone(), tally));
        }
        Ok((writer, contents))
    }
}

async fn count(tx: &mut impl Tx, table: &Table) -> Result<u64, TxError> {
    let rows = tx.query_one(table.count, &[]).await?.int()?;
    u64::try_from(rows).map_err(|_| TxError::column("count", "is negative"))
}

/// A table's rows, a page at a time, in the order of its key.
struct Pages<'t> {
    table: &'t Table,
    /// The key of the last row that was read.
    last: Option<Vec<Value>>,
    is_over: bool,
}

impl<'t> Pages<'t> {
    fn of(table: &'t Table) -> Pages<'t> {
        Pages { table, last: None, is_over: false }
    }

    async fn next(&mut self, tx: &mut impl Tx) -> Result<Option<Vec<Vec<Value>>>, TxError> {
        if self.is_over {
            return Ok(None);
        }
        let (sql, mut parameters) = match self.last.take() {
            None => (self.table.first, Vec::new()),
            Some(key) => (self.table.next, key),
        };
        parameters.push(PAGE.into());
        let rows: Vec<Vec<Value>> =
            tx.query(sql, &parameters).await?.into_iter().map(|row| row.into_values()).collect();
        self.is_over = rows.len() as i64 != PAGE;
        self.last = rows.last().map(|row| self.table.key.iter().map(|column| row[*column].clone()).collect());
        Ok(if rows.is_empty() { None } else { Some(rows) })
    }
}

/// Notes in the audit log that a backup was written.
#[derive(Clone, Debug)]
pub struct NoteBackup {
    /// The id in the backup's heading.
    pub id: String,
    /// How many rows it holds.
    pub rows: u64,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for NoteBackup {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        self.audit.event(AuditAction::BackupCreated).about(&self.id).with("rows", self.rows).append(tx).await
    }
}

/// Rows that are read, and kept in memory, at once.
const PAGE: i64 = 1_000;
