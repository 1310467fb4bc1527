//! How the values of `core` stand in columns: times as milliseconds, sets as JSON, ids as text.
//!
//! A row that does not read back is corrupt, and says which column: never a guess, never a default.

use doorward_core::{
    clock::Timestamp,
    digest::{Digest, KeyedDigest},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::tx::{Row, Tx, TxError, Value};

impl Row {
    /// A time.
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

    /// A text of a type that is made by parsing.
    pub(crate) fn parsed<T: TryFrom<String>>(&mut self) -> Result<T, TxError> {
        let text = self.text()?;
        T::try_from(text).map_err(|_| self.unreadable())
    }

    /// A text of a type that is made by parsing, or nothing.
    pub(crate) fn opt_parsed<T: TryFrom<String>>(&mut self) -> Result<Option<T>, TxError> {
        let text = self.opt_text()?;
        text.map(T::try_from).transpose().map_err(|_| self.unreadable())
    }

    /// A value that stands as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, TxError> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|_| self.unreadable())
    }

    /// A value of an enum that serde writes as a plain word.
    pub(crate) fn word<T: DeserializeOwned>(&mut self) -> Result<T, TxError> {
        let word = serde_json::Value::from(self.text()?);
        serde_json::from_value(word).map_err(|_| self.unreadable())
    }

    /// A digest.
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

    fn unreadable(&self) -> TxError {
        self.error("does not read back")
    }
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
