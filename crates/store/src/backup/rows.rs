//! Rows as bytes, and the sum by which a table's rows are compared wherever they are.
//!
//! Easy to get wrong: the engines sort texts differently, so the sum must not depend on the order of the rows.

use doorward_core::digest::Digest;

use super::BackupError;
use crate::tx::Value;

/// Writes a row: each value with its type, texts and bytes with their length.
pub(super) fn encode(values: &[Value], row: &mut Vec<u8>) -> Result<(), BackupError> {
    row.clear();
    for value in values {
        match value {
            Value::Null => row.push(NULL),
            Value::Int(number) => {
                row.push(INT);
                row.extend(number.to_be_bytes());
            }
            Value::Text(text) => put(row, TEXT, text.as_bytes())?,
            Value::Bytes(bytes) => put(row, BYTES, bytes)?,
        }
    }
    Ok(())
}

fn put(row: &mut Vec<u8>, kind: u8, bytes: &[u8]) -> Result<(), BackupError> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= LONGEST_ROW);
    let length = length.ok_or_else(|| BackupError::Fault("a value is too long".to_owned()))?;
    row.push(kind);
    row.extend(length.to_be_bytes());
    row.extend(bytes);
    Ok(())
}

/// Reads a row of so many values.
pub(super) fn decode(mut row: &[u8], width: usize, values: &mut Vec<Value>) -> Result<(), BackupError> {
    for _ in 0..width {
        let [kind] = take(&mut row)?;
        values.push(match kind {
            NULL => Value::Null,
            INT => Value::Int(i64::from_be_bytes(take(&mut row)?)),
            TEXT => {
                let text = counted(&mut row)?.to_vec();
                Value::Text(String::from_utf8(text).map_err(|_| unreadable())?)
            }
            BYTES => Value::Bytes(counted(&mut row)?.to_vec()),
            _ => return Err(unreadable()),
        });
    }
    if row.is_empty() { Ok(()) } else { Err(unreadable()) }
}

fn counted<'r>(row: &mut &'r [u8]) -> Result<&'r [u8], BackupError> {
    let length = u32::from_be_bytes(take(row)?) as usize;
    let (bytes, rest) = row.split_at_checked(length).ok_or_else(unreadable)?;
    *row = rest;
    Ok(bytes)
}

fn take<const N: usize>(row: &mut &[u8]) -> Result<[u8; N], BackupError> {
    let (bytes, rest) = row.split_first_chunk().ok_or_else(unreadable)?;
    *row = rest;
    Ok(*bytes)
}

fn unreadable() -> BackupError {
    BackupError::Inconsistent("a row of the backup can't be read".to_owned())
}

/// The number of rows, and the sum of their SHA-256 digests as numbers of 256 bits: equal for equal rows, in whatever
/// order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) sum: [u8; 32],
}

impl Tally {
    /// Adds a row, as [`encode`] writes it.
    pub(super) fn add(&mut self, row: &[u8]) {
        self.rows += 1;
        let digest = Digest::sha256(row);
        let mut carry = 0;
        for (byte, added) in self.sum.iter_mut().zip(digest.as_bytes()) {
            let total = u16::from(*byte) + u16::from(*added) + carry;
            *byte = total.to_le_bytes()[0];
            carry = total >> 8;
        }
    }
}

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;

/// Far above any row: clients' keys and claims are bounded where they are read.
pub(super) const LONGEST_ROW: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[Value]) -> Vec<u8> {
        let mut row = Vec::new();
        encode(values, &mut row).unwrap();
        row
    }

    #[test]
    fn row_reads_back_as_it_was() {
        let values = [Value::Null, i64::MIN.into(), "ä $1".into(), "".into(), Value::from(vec![0, 255]), 7.into()];
        let mut found = Vec::new();
        decode(&encoded(&values), values.len(), &mut found).unwrap();
        assert_eq!(found, values);
    }

    #[test]
    fn row_that_is_cut_or_longer_is_refused() {
        let row = encoded(&["text".into(), 1.into()]);
        for wrong in [&row[..row.len() - 1], &row[..3], &[], &[&row[..], &[0]].concat(), &[9]] {
            assert!(decode(wrong, 2, &mut Vec::new()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn tally_depends_on_the_rows_and_not_on_their_order() {
        let tally = |rows: &[&str]| {
            let mut tally = Tally::default();
            rows.iter().for_each(|row| tally.add(&encoded(&[(*row).into()])));
            tally
        };
        assert_eq!(tally(&["a", "b", "c"]), tally(&["c", "a", "b"]));
        assert_ne!(tally(&["a", "b"]), tally(&["a", "c"]));
        assert_ne!(tally(&["a", "a"]), tally(&["a"]));
    }
}
