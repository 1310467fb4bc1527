//! How the values of `core` stand in columns: times as milliseconds, sets as JSON, ids as text.
//!
//! A row that does not read back is corrupt, and says which column: never a guess, never a default.

use doorward_core::{
    clock::Timestamp,
    digest::{Digest, KeyedDigest},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::tx::{Row, TxError, Value};

impl Row {
    /// A time.
    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, TxError> {
        Ok(Timestamp::from_millis(self.int(column)?))
    }

    /// A time that may be missing.
    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>, TxError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }

    /// A yes or no.
    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, TxError> {
        Ok(self.int(column)? != 0)
    }

    /// A text of a type that is made by parsing.
    pub(crate) fn parsed<T: TryFrom<String>>(&self, column: &'static str) -> Result<T, TxError> {
        T::try_from(self.text(column)?.to_owned()).map_err(|_| TxError::column(column, "does not read back"))
    }

    /// A text of a type that is made by parsing, or nothing.
    pub(crate) fn opt_parsed<T: TryFrom<String>>(&self, column: &'static str) -> Result<Option<T>, TxError> {
        match self.opt_text(column)? {
            None => Ok(None),
            Some(text) => {
                T::try_from(text.to_owned()).map(Some).map_err(|_| TxError::column(column, "does not read back"))
            }
        }
    }

    /// A value that stands as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, TxError> {
        serde_json::from_str(self.text(column)?).map_err(|_| TxError::column(column, "does not read back"))
    }

    /// A value of an enum that serde writes as a plain word.
    pub(crate) fn word<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, TxError> {
        let word = serde_json::Value::from(self.text(column)?);
        serde_json::from_value(word).map_err(|_| TxError::column(column, "does not read back"))
    }

    /// A digest.
    pub(crate) fn digest(&self, column: &'static str) -> Result<Digest, TxError> {
        let bytes = self.bytes(column)?.try_into().map_err(|_| TxError::column(column, "does not read back"))?;
        Ok(Digest::from_bytes(bytes))
    }

    /// A digest with its pepper, if both are there.
    pub(crate) fn opt_keyed_digest(
        &self,
        pepper: &'static str,
        digest: &'static str,
    ) -> Result<Option<KeyedDigest>, TxError> {
        match self.opt_text(pepper)? {
            None => Ok(None),
            Some(pepper) => Ok(Some(KeyedDigest { pepper: pepper.to_owned(), digest: self.digest(digest)? })),
        }
    }
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

/// A value of an enum that serde writes as a plain word.
pub(crate) fn word(value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.into(),
        _ => unreachable!("only enums of unit variants are written as words"),
    }
}
