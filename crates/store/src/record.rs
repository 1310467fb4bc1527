//! How the values of `core` stand in columns: times as milliseconds, sets as JSON, ids as text.
//!
//! A row that does not read back is corrupt, or a newer program wrote it. The error names the column: never a guess,
//! never a default. A caller that needs the row gets the error. A list skips it, so that one row does not stop
//! everything: what is not on a list is refused.

use doorward_core::{
    clock::Timestamp,
    digest::{Digest, KeyedDigest},
};
use serde::{Serialize, de::DeserializeOwned};

mod replacement;

pub use self::replacement::Updated;
pub(crate) use self::replacement::replace_metadata;
use crate::tx::{Row, Tx, TxError, Value};

impl Row {
    pub(crate) fn time(&mut self) -> Result<Timestamp, TxError> {
        self.int().map(Timestamp::from_millis)
    }

    /// A time that may be missing.
    pub(crate) fn opt_time(&mut self) -> Result<Option<Timestamp>, TxError> {
        Ok(self.opt_int()?.map(Timestamp::from_millis))
    }

    /// A yes or no.
    pub(crate) fn flag(&mut self) -> Result<bool, TxError> {
        Ok(self.int()? != 0)
    }

    /// A text of a type that is created by parsing.
    pub(crate) fn parsed<T: TryFrom<String>>(&mut self) -> Result<T, TxError> {
        let text = self.text()?;
        T::try_from(text).map_err(|_| self.unreadable())
    }

    /// The same, or nothing.
    pub(crate) fn opt_parsed<T: TryFrom<String>>(&mut self) -> Result<Option<T>, TxError> {
        let text = self.opt_text()?;
        text.map(T::try_from).transpose().map_err(|_| self.unreadable())
    }

    /// A value that is stored as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, TxError> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|_| self.unreadable())
    }

    /// A value of an enum that serde writes as a plain word.
    pub(crate) fn word<T: DeserializeOwned>(&mut self) -> Result<T, TxError> {
        let word = serde_json::Value::from(self.text()?);
        serde_json::from_value(word).map_err(|_| self.unreadable())
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, TxError> {
        let bytes = self.bytes()?.try_into().map_err(|_| self.unreadable())?;
        Ok(Digest::from_bytes(bytes))
    }

    /// A pepper and the digest made under it, in two columns.
    pub(crate) fn keyed_digest(&mut self) -> Result<KeyedDigest, TxError> {
        Ok(KeyedDigest { pepper: self.text()?, digest: self.digest()? })
    }

    /// A pepper and the digest made under it, in two columns that may both be NULL.
    pub(crate) fn opt_keyed_digest(&mut self) -> Result<Option<KeyedDigest>, TxError> {
        match self.opt_text()? {
            None => self.opt_bytes().map(|_| None),
            Some(pepper) => Ok(Some(KeyedDigest { pepper, digest: self.digest()? })),
        }
    }
}

/// A list, without what this program can't read, for each of which the log has a warning. The first column of a row is
/// its id.
pub(crate) fn readable<T>(
    kind: &'static str,
    rows: Vec<Row>,
    read: impl Fn(&mut Row) -> Result<T, TxError>,
) -> Result<Vec<T>, TxError> {
    let mut list = Vec::with_capacity(rows.len());
    for mut row in rows {
        let id = row.next_text().unwrap_or_default().to_owned();
        match read(&mut row) {
            Ok(entry) => list.push(entry),
            Err(error @ TxError::Unreadable { .. }) => {
                tracing::warn!(kind, id, %error, "skipped: this version can't read it, a newer one may");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(list)
}

/// A page of a list.
pub(crate) struct Page<const N: usize> {
    /// What is listed, for the log.
    pub(crate) kind: &'static str,
    /// Gives the rows that come after the first `N` parameters, in the order of their first `N` columns, at most as many as
    /// the parameter after those says. The rest of the parameters are those of the filter.
    pub(crate) sql: &'static str,
    /// Where the page before ended.
    pub(crate) after: [String; N],
    /// Maximum number of rows.
    pub(crate) limit: i64,
    /// What the filter compares with.
    pub(crate) filter: Vec<Value>,
}

/// The page, without what this program can't read. What is skipped makes room for the next, so a page that is not full is
/// the last.
pub(crate) async fn readable_page<const N: usize, T>(
    tx: &mut impl Tx,
    Page { kind, sql, mut after, limit, filter }: Page<N>,
    read: impl Fn(&mut Row) -> Result<T, TxError>,
) -> Result<Vec<T>, TxError> {
    let (mut page, mut wanted) = (Vec::new(), limit);
    loop {
        let key = after.into_iter().map(Value::from);
        let params: Vec<_> = key.chain([wanted.into()]).chain(filter.iter().cloned()).collect();
        let rows = tx.query(sql, &params).await?;
        let found = count(&rows);
        after = rows.last().map(Row::next_texts).unwrap_or_else(|| [const { String::new() }; N]);
        let read = readable(kind, rows, &read)?;
        let is_last = found < wanted;
        wanted -= count(&read);
        page.extend(read);
        if is_last || wanted <= 0 {
            return Ok(page);
        }
    }
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// The row with one of these digests, which the statement compares with `$1`, and their peppers with `$2`.
pub(crate) async fn by_digest(
    tx: &mut impl Tx,
    sql: &'static str,
    candidates: &[KeyedDigest],
) -> Result<Option<Row>, TxError> {
    for KeyedDigest { pepper, digest } in candidates {
        let found = tx.query_opt(sql, &[digest.into(), pepper.as_str().into()]).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        time.as_millis().into()
    }
}

impl From<&Digest> for Value {
    fn from(digest: &Digest) -> Self {
        digest.as_bytes().as_slice().into()
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        i64::from(flag).into()
    }
}

/// A value as JSON text.
pub(crate) fn json(value: &impl Serialize) -> Value {
    serde_json::to_string(value).expect("ids, scopes and their lists are JSON").into()
}
