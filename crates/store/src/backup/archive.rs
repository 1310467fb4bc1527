//! The file: a line that names the form, a line of JSON about the backup, then the rows, compressed and cut into parts,
//! each encrypted and authenticated (AES-256-GCM) under a key that is derived from the master key for this file alone.
//!
//! A part is bound to the heading, to its place and to whether it is the last: a file that was cut, joined or altered
//! does not open. No part is decompressed before it has opened.
//!
//! Easy to get wrong: the heading is read before anything is authenticated. Nothing is believed of it but the names of
//! keys until the first part has opened.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};

use doorward_core::{
    clock::Timestamp,
    digest::{Digest, MasterKey},
    random::{self, Rng},
    seal,
    secret::SecretString,
};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::rows::{LONGEST_ROW, Tally, decode, encode};
use super::{BackupError, Contents, Enclosed, OnProgress, Progress};
use crate::tx::Value;

/// What a backup says of itself before it is opened.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Heading {
    /// Names this backup: each has keys of its own.
    pub id: String,
    /// The moment that it shows.
    pub created_at: Timestamp,
    /// The issuer of the server that it belongs to.
    pub issuer: String,
    /// The newest migration of the database.
    pub schema: i64,
    /// The engine that it was read from.
    pub engine: String,
    /// The version of the program that made it.
    pub program: String,
    /// The id of the master key that it opens with.
    pub master_key: String,
    /// The master keys themselves, under a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enclosed: Option<Enclosed>,
}

impl Heading {
    /// A name for a new backup.
    pub(super) fn new_id(rng: &dyn Rng) -> String {
        random::bytes::<16>(rng).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A backup whose heading was read.
#[derive(Debug)]
pub struct Backup {
    /// The heading; authenticated once the first part has opened.
    pub heading: Heading,
    file: File,
    /// Where the parts begin.
    start: u64,
    /// Identifies the heading in every part.
    digest: String,
}

impl Backup {
    /// Reads the heading of a file.
    pub fn open(mut file: File) -> Result<Backup, BackupError> {
        file.rewind()?;
        let mut reader = BufReader::new(&file).take(LONGEST_HEADING);
        let mut form = Vec::new();
        reader.read_until(b'\n', &mut form)?;
        match form.strip_prefix(FORM).map(|version| version.trim_ascii()) {
            Some(b"1") => {}
            Some(version) if !version.is_empty() => {
                return Err(BackupError::Newer(String::from_utf8_lossy(version).into_owned()));
            }
            _ => return Err(BackupError::NotABackup),
        }
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        let heading: Heading = serde_json::from_slice(&line).map_err(|_| BackupError::NotABackup)?;
        let start = (form.len() + line.len()) as u64;
        let digest = hexadecimal(&Digest::sha256(&[form, line].concat()));
        Ok(Backup { heading, file, start, digest })
    }

    /// The master keys that are included, for somebody who knows the passphrase.
    pub fn enclosed_keys(&self, passphrase: &SecretString) -> Result<Vec<MasterKey>, BackupError> {
        let enclosed = self.heading.enclosed.as_ref().ok_or(BackupError::NoMasterKey)?;
        enclosed.open(passphrase, &self.heading.id)
    }

    /// Reads all of it: every part opens, every table has the rows that were counted, with the sum that was written.
    pub fn verify(self, master_keys: &[MasterKey], on_progress: &OnProgress) -> Result<Verified, BackupError> {
        let mut reader = self.reader(master_keys)?;
        let mut contents = Contents::default();
        let (mut done, mut row, total) = (0, Vec::new(), reader.total);
        while let Some(table) = reader.next_table()? {
            while reader.next_row(&table, &mut row)? {
                row.clear();
                done += 1;
                if done % STRIDE == 0 {
                    on_progress(Progress { step: "Verifying", table: &table.name, done, total });
                }
            }
            contents.tables.push((table.name, reader.tally()));
        }
        match done == total {
            true => Ok(Verified { backup: self, contents }),
            false => Err(BackupError::Inconsistent(format!("the backup has {done} rows, and {total} were announced"))),
        }
    }

    /// Begins to read the rows.
    pub(super) fn reader(&self, master_keys: &[MasterKey]) -> Result<Reader, BackupError> {
        let needed = &self.heading.master_key;
        let master_key = master_keys.iter().find(|key| key.id() == *needed).ok_or_else(|| BackupError::MasterKey {
            needed: needed.clone(),
            given: master_keys.iter().map(MasterKey::id).collect(),
        })?;
        let mut file = self.file.try_clone()?;
        file.seek(io::SeekFrom::Start(self.start))?;
        let opener = Opener {
            file: BufReader::new(file),
            cipher: Cipher::new(master_key, &self.heading.id, &self.digest),
            part: Zeroizing::default(),
            read: 0,
            is_last: false,
        };
        let mut reader =
            Reader { rows: BufReader::new(DeflateDecoder::new(opener)), total: 0, tally: Tally::default() };
        reader.total = u64::from_be_bytes(reader.take()?);
        Ok(reader)
    }
}

/// A backup of which every row was read once, and is as it was written.
#[derive(Debug)]
pub struct Verified {
    /// The backup, opened with its key.
    pub backup: Backup,
    /// The tables and their numbers of rows.
    pub contents: Contents,
}

/// The heading of a table, before its rows.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct TableHeading {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: u64,
}

pub(super) struct Writer {
    rows: BufWriter<DeflateEncoder<Sealer>>,
    row: Vec<u8>,
    tally: Tally,
}

impl Writer {
    pub(super) fn begin(mut file: File, heading: &Heading, master_key: &MasterKey) -> Result<Writer, BackupError> {
        let json = serde_json::to_string(heading).map_err(|error| BackupError::Fault(error.to_string()))?;
        let lines = [FORM, b"1\n", json.as_bytes(), b"\n"].concat();
        file.write_all(&lines)?;
        let digest = hexadecimal(&Digest::sha256(&lines));
        let sealer = Sealer { file, cipher: Cipher::new(master_key, &heading.id, &digest), part: Zeroizing::default() };
        let rows = BufWriter::new(DeflateEncoder::new(sealer, Compression::fast()));
        Ok(Writer { rows, row: Vec::new(), tally: Tally::default() })
    }

    /// Says how many rows follow in all.
    pub(super) fn total(&mut self, rows: u64) -> Result<(), BackupError> {
        Ok(self.rows.write_all(&rows.to_be_bytes())?)
    }

    pub(super) fn begin_table(&mut self, table: &TableHeading) -> Result<(), BackupError> {
        let json = serde_json::to_vec(table).map_err(|error| BackupError::Fault(error.to_string()))?;
        self.tally = Tally::default();
        self.record(TABLE, &json)
    }

    pub(super) fn row(&mut self, values: &[Value]) -> Result<(), BackupError> {
        let mut row = std::mem::take(&mut self.row);
        encode(values, &mut row)?;
        self.tally.add(&row);
        self.record(ROW, &row)?;
        self.row = row;
        Ok(())
    }

    /// Ends a table, and gives what its rows add up to.
    pub(super) fn end_table(&mut self) -> Result<Tally, BackupError> {
        self.record(END_OF_TABLE, &[&self.tally.rows.to_be_bytes()[..], &self.tally.sum].concat())?;
        Ok(self.tally)
    }

    /// Ends the backup, and gives the file, which is on the disk whole.
    pub(super) fn end(mut self) -> Result<File, BackupError> {
        self.record(END, &[])?;
        let deflate = self.rows.into_inner().map_err(io::IntoInnerError::into_error)?;
        let file = deflate.finish()?.end()?;
        file.sync_all()?;
        Ok(file)
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(content.len()).map_err(|_| BackupError::Fault("a row is too long".to_owned()))?;
        self.rows.write_all(&[kind])?;
        self.rows.write_all(&length.to_be_bytes())?;
        Ok(self.rows.write_all(content)?)
    }
}

/// Reads the rows of a backup.
pub(super) struct Reader {
    rows: BufReader<DeflateDecoder<Opener>>,
    /// How many rows there are in all.
    pub(super) total: u64,
    tally: Tally,
}

impl Reader {
    /// The next table; none at the end, which is the end of the file as well.
    pub(super) fn next_table(&mut self) -> Result<Option<TableHeading>, BackupError> {
        let (kind, content) = self.record()?;
        self.tally = Tally::default();
        match kind {
            TABLE => {
                let table = serde_json::from_slice(&content);
                Ok(Some(
                    table.map_err(|_| BackupError::Inconsistent("a table of the backup can't be read".to_owned()))?,
                ))
            }
            END => {
                // Whatever follows would have been left out.
                match self.rows.read(&mut [0])? {
                    0 => Ok(None),
                    _ => Err(BackupError::Inconsistent("something follows after the end of the backup".to_owned())),
                }
            }
            _ => Err(BackupError::Inconsistent("the backup is not in order".to_owned())),
        }
    }

    /// Adds the values of the table's next row. None is left when this says so, and then the table was compared with
    /// what its writer had counted.
    pub(super) fn next_row(&mut self, table: &TableHeading, values: &mut Vec<Value>) -> Result<bool, BackupError> {
        let (kind, content) = self.record()?;
        match kind {
            ROW => {
                self.tally.add(&content);
                decode(&content, table.columns.len(), values)?;
                Ok(true)
            }
            END_OF_TABLE if content == [&self.tally.rows.to_be_bytes()[..], &self.tally.sum].concat() => {
                match self.tally.rows == table.rows {
                    true => Ok(false),
                    false => Err(BackupError::Inconsistent(format!(
                        "{} has {} rows in the backup, and {} were announced",
                        table.name, self.tally.rows, table.rows
                    ))),
                }
            }
            _ => Err(BackupError::Inconsistent(format!("the rows of {} are not those that were written", table.name))),
        }
    }

    /// What the rows of the table add up to that was read last.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    fn record(&mut self) -> Result<(u8, Vec<u8>), BackupError> {
        let [kind] = self.take()?;
        let length = u32::from_be_bytes(self.take()?) as usize;
        if length > LONGEST_ROW {
            return Err(BackupError::Inconsistent("a row of the backup is too long".to_owned()));
        }
        let mut content = vec![0; length];
        self.rows.read_exact(&mut content)?;
        Ok((kind, content))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.rows.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Seals and opens the parts of one file.
struct Cipher {
    key: Zeroizing<[u8; 32]>,
    heading: String,
    number: u64,
}

impl Cipher {
    fn new(master_key: &MasterKey, id: &str, heading: &str) -> Cipher {
        Cipher { key: master_key.derive(&format!("doorward/backup/{id}")), heading: heading.to_owned(), number: 0 }
    }

    /// Each part has its number as its nonce: the key is this file's alone.
    fn seal(&mut self, part: &[u8], is_last: bool) -> Vec<u8> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.number.to_be_bytes());
        let sealed = seal::seal_with_nonce(&self.key, &self.context(is_last), part, nonce);
        self.number += 1;
        sealed
    }

    fn open(&mut self, sealed: &[u8], is_last: bool) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let part = seal::open(&self.key, &self.context(is_last), sealed)
            .map_err(|_| BackupError::Altered { part: self.number })?;
        self.number += 1;
        Ok(part)
    }

    fn context(&self, is_last: bool) -> String {
        let place = if is_last { "last" } else { "more" };
        format!("backup/{}/{}/{place}", self.heading, self.number)
    }
}

/// Cuts what is written into parts, and seals them.
struct Sealer {
    file: File,
    cipher: Cipher,
    part: Zeroizing<Vec<u8>>,
}

impl Sealer {
    fn put(&mut self, is_last: bool) -> io::Result<()> {
        let sealed = self.cipher.seal(&self.part, is_last);
        self.part.clear();
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.file.write_all(&(if is_last { length | LAST } else { length }).to_be_bytes())?;
        self.file.write_all(&sealed)
    }

    fn end(mut self) -> io::Result<File> {
        self.put(true)?;
        Ok(self.file)
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() == PART {
            self.put(false)?;
        }
        let taken = bytes.len().min(PART - self.part.len());
        self.part.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A part is as long as it gets: its length would tell of the rows.
        Ok(())
    }
}

/// Opens the parts one after the other.
struct Opener {
    file: BufReader<File>,
    cipher: Cipher,
    part: Zeroizing<Vec<u8>>,
    read: usize,
    is_last: bool,
}

impl Opener {
    fn next(&mut self) -> Result<(), BackupError> {
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        let is_last = length & LAST != 0;
        let length = (length & !LAST) as usize;
        if length > PART + OVERHEAD {
            return Err(BackupError::Altered { part: self.cipher.number });
        }
        let mut sealed = vec![0; length];
        self.file.read_exact(&mut sealed)?;
        self.part = self.cipher.open(&sealed, is_last)?;
        (self.read, self.is_last) = (0, is_last);
        match is_last && !self.file.fill_buf()?.is_empty() {
            true => Err(BackupError::Altered { part: self.cipher.number }),
            false => Ok(()),
        }
    }
}

impl Read for Opener {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.read == self.part.len() {
            if self.is_last {
                return Ok(0);
            }
            self.next().map_err(io::Error::other)?;
        }
        let left = &self.part[self.read..];
        let taken = bytes.len().min(left.len());
        bytes[..taken].copy_from_slice(&left[..taken]);
        self.read += taken;
        Ok(taken)
    }
}

fn hexadecimal(digest: &Digest) -> String {
    digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the file begins with; the number of its form follows.
const FORM: &[u8] = b"doorward-backup ";

const LONGEST_HEADING: u64 = 64 * 1024;

/// The bytes of one part before it is sealed.
const PART: usize = 256 * 1024;

/// Nonce and tag.
const OVERHEAD: usize = 12 + 16;

/// In the length of a part: it is the last one.
const LAST: u32 = 1 << 31;

/// How many rows there are between two reports of progress.
pub(super) const STRIDE: u64 = 1_000;

const TABLE: u8 = b'T';
const ROW: u8 = b'R';
const END_OF_TABLE: u8 = b'E';
const END: u8 = b'Z';
