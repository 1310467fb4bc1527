//! The tables of a schema and how to read and fill them whole, taken from the migrations themselves: an empty database
//! in memory is migrated and asked. So a later migration's tables and columns are in every backup without a line here.
//!
//! Easy to get wrong: a table that refers to another one must be filled after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Params};

use super::BackupError;
use crate::migrate::statements_up_to;

/// A table, and its statements for both engines.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// Where the columns of the primary key are among the columns.
    pub(super) key: Vec<usize>,
    /// How many rows the migrations themselves write.
    pub(super) initial_rows: u64,
    /// The first rows in the order of the key, `$1` at most.
    pub(super) first: &'static str,
    /// The rows that follow a key, which is `$1` and so on, at most as many as the parameter after it.
    pub(super) next: &'static str,
    pub(super) count: &'static str,
    /// Counts the rows, but no more than `$1`.
    pub(super) count_some: &'static str,
    pub(super) insert: &'static str,
    /// Inserts [`BATCH`] rows.
    pub(super) insert_batch: &'static str,
    pub(super) delete: &'static str,
    pub(super) drop: &'static str,
}

/// How many rows one statement inserts.
pub(super) const BATCH: usize = 64;

/// The tables of a schema, each after those that it refers to.
pub(super) fn of_schema(schema: i64) -> Result<Arc<[Table]>, BackupError> {
    // Their statements stay for as long as the process: each schema is read once.
    static KNOWN: Mutex<BTreeMap<i64, Arc<[Table]>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tables) = known.get(&schema) {
        return Ok(tables.clone());
    }
    let tables: Arc<[Table]> = read(schema)
        .map_err(|error| BackupError::Fault(format!("the tables of schema {schema} can't be read: {error}")))?
        .into();
    known.insert(schema, tables.clone());
    Ok(tables)
}

fn read(schema: i64) -> rusqlite::Result<Vec<Table>> {
    let database = Connection::open_in_memory()?;
    for statement in statements_up_to(schema) {
        database.execute_batch(statement)?;
    }
    let mut waiting = texts(
        &database,
        // Which migrations were applied is written by those that apply them.
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_migrations'
         AND name NOT LIKE 'sqlite?_%' ESCAPE '?' ORDER BY name",
        [],
    )?;
    let mut tables = Vec::new();
    // Tables refer to each other in no circle, or else no row could be inserted.
    while !waiting.is_empty() {
        let mut later = Vec::new();
        for name in &waiting {
            let refers_to = texts(&database, "SELECT \"table\" FROM pragma_foreign_key_list(?1)", [name])?;
            if refers_to.iter().any(|other| other != name && waiting.contains(other)) {
                later.push(name.clone());
                continue;
            }
            let columns = texts(&database, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", [name])?;
            let key = texts(&database, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", [name])?;
            let count = format!("SELECT count(*) FROM \"{name}\"");
            let initial_rows = database.query_row(&count, [], |row| row.get::<_, u32>(0))?.into();
            tables.push(Table::new(name, columns, &key, initial_rows));
        }
        if later.len() == waiting.len() {
            return Err(rusqlite::Error::InvalidQuery);
        }
        waiting = later;
    }
    Ok(tables)
}

fn texts(database: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<Vec<String>> {
    database.prepare(sql)?.query_map(parameters, |row| row.get(0))?.collect()
}

impl Table {
    fn new(name: &str, columns: Vec<String>, key: &[String], initial_rows: u64) -> Table {
        let quoted = |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let parameters = |from: usize, count: usize| {
            (from..from + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
        };
        let (all, by, width) = (quoted(&columns), quoted(key), columns.len());
        let after = parameters(1, key.len());
        let limit = key.len() + 1;
        let rows: Vec<_> = (0..BATCH).map(|row| format!("({})", parameters(row * width + 1, width))).collect();
        Table {
            key: key.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect(),
            initial_rows,
            first: kept(format!("SELECT {all} FROM \"{name}\" ORDER BY {by} LIMIT $1")),
            next: kept(format!("SELECT {all} FROM \"{name}\" WHERE ({by}) > ({after}) ORDER BY {by} LIMIT ${limit}")),
            count: kept(format!("SELECT count(*) FROM \"{name}\"")),
            count_some: kept(format!("SELECT count(*) FROM (SELECT 1 FROM \"{name}\" LIMIT $1) AS t")),
            insert: kept(format!("INSERT INTO \"{name}\" ({all}) VALUES ({})", parameters(1, width))),
            insert_batch: kept(format!("INSERT INTO \"{name}\" ({all}) VALUES {}", rows.join(", "))),
            delete: kept(format!("DELETE FROM \"{name}\"")),
            drop: kept(format!("DROP TABLE \"{name}\"")),
            name: name.to_owned(),
            columns,
        }
    }
}

/// A statement is a constant everywhere else, and engines keep it prepared. These are a few per table and process.
fn kept(statement: String) -> &'static str {
    statement.leak()
}

#[cfg(test)]
mod tests {
    use super::of_schema;
    use crate::migrate::KNOWN_SCHEMA;

    #[test]
    fn tables_come_after_those_that_they_refer_to() {
        let tables = of_schema(KNOWN_SCHEMA).unwrap();
        let at = |name: &str| tables.iter().position(|table| table.name == name).unwrap();
        for (table, refers_to) in
            [("sessions", "users"), ("grants", "users"), ("clients", "apis"), ("role_grants", "apis")]
        {
            assert!(at(refers_to) < at(table), "{table}");
        }
        assert!(tables.iter().all(|table| !table.key.is_empty()), "each table has a key to be read by");
        assert_eq!(tables[at("change_counter")].initial_rows, 1);
        assert_eq!(tables.iter().map(|table| table.initial_rows).sum::<u64>(), 1);
    }
}
