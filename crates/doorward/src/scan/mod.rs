//! `doorward scan`: secrets of Doorward in files, in the history of a repository, or in standard input. Offline.
//!
//! What is a secret decides [`doorward_core::scan`]. Here is where the bytes come from, and what is remembered of a finding:
//! never the secret itself, except if a server is to verify it.

mod added_lines;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod liveness;
pub(crate) mod sarif;

use std::{
    io::{self, Read},
    sync::{Mutex, PoisonError},
};

use doorward_core::{
    scan::{Found, Kind, Place, Scanner, Stream},
    secret::SecretString,
};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Output, warn},
};

/// The most findings that are listed; more are counted.
const MAX_FINDINGS: usize = 100_000;
/// The most places that could not be read and are named in SARIF; standard error names all.
const MAX_UNREAD: usize = 1_000;
/// Bytes of the buffer that each thread reads into.
const BUFFER: usize = 256 * 1024;

/// A secret in a place.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// The file; `-` is standard input.
    pub(crate) path: String,
    /// The commit that added the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    pub(crate) line: u64,
    pub(crate) column: u64,
    /// Bytes before it in the file; of a history nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(serialize_with = "by_name")]
    pub(crate) kind: Kind,
    /// What may be shown of it.
    pub(crate) hint: String,
    /// The same for the same secret.
    pub(crate) fingerprint: String,
    /// What the server says, if it was asked: `valid`, or the code of the denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    #[serde(skip)]
    key: Option<Key>,
}

/// A key that the server will be asked about.
struct Key(SecretString);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

fn by_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// What a scan found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// By place.
    pub(crate) findings: Vec<Finding>,
    /// Findings beyond those that are listed.
    pub(crate) more: u64,
    /// Files that were searched, or commits.
    pub(crate) searched: u64,
    /// Bytes that were searched.
    pub(crate) bytes: u64,
    /// How many places could not be read.
    pub(crate) unread: u64,
    /// The first of them, with the reason.
    #[serde(skip)]
    pub(crate) unread_reasons: Vec<String>,
}

/// Takes the findings of all threads.
pub(crate) struct Collector {
    output: Output,
    /// Whether the server will be asked about keys, so that they have to be kept.
    keeps_keys: bool,
    report: Mutex<Report>,
}

impl Collector {
    pub(crate) fn new(output: Output, keeps_keys: bool) -> Self {
        Self { output, keeps_keys, report: Mutex::default() }
    }

    /// All that was found, in the order of places, each place once.
    pub(crate) fn into_report(self) -> Report {
        let mut report = self.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Stable, so that the newest commit stays first.
        report.findings.sort_by(|one, other| one.place().cmp(&other.place()));
        // A path can be given twice.
        report.findings.dedup_by(|one, other| {
            one.place() == other.place() && one.commit == other.commit && one.fingerprint == other.fingerprint
        });
        report
    }

    fn found(&self, path: &str, commit: Option<&str>, place: Place, found: &Found) {
        let mut report = self.lock();
        if report.findings.len() == MAX_FINDINGS {
            report.more += 1;
            return;
        }
        report.findings.push(Finding {
            path: path.to_owned(),
            commit: commit.map(str::to_owned),
            line: place.line,
            column: place.column,
            offset: commit.is_none().then_some(place.offset),
            kind: found.kind,
            hint: found.hint().to_owned(),
            fingerprint: found.fingerprint(),
            state: None,
            key: (self.keeps_keys && found.kind.is_key()).then(|| Key(found.reveal().into())),
        });
    }

    /// Reports what could not be read, on standard error at once.
    fn unread(&self, reason: String) {
        let mut report = self.lock();
        report.unread += 1;
        let failure = Failure::System(reason);
        failure.report(self.output);
        if report.unread_reasons.len() < MAX_UNREAD {
            report.unread_reasons.push(failure.to_string());
        }
    }

    fn searched(&self, count: u64, bytes: u64) {
        let mut report = self.lock();
        report.searched += count;
        report.bytes += bytes;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Report> {
        // Nothing is left half done where a thread could panic.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Finding {
    fn place(&self) -> (&str, u64, u64) {
        (&self.path, self.line, self.column)
    }
}

/// Searches standard input to its end.
pub(crate) fn standard_input(scanner: &Scanner, collector: &Collector) {
    let mut stream = Stream::new(scanner, BUFFER);
    if let Err(error) = read(&mut stream, &mut io::stdin().lock(), "-", collector) {
        collector.unread(format!("standard input can't be read: {error}"));
    }
}

/// Searches one file to its end. What was found before an error counts.
fn read(stream: &mut Stream<'_>, from: &mut impl Read, path: &str, collector: &Collector) -> io::Result<()> {
    let mut bytes = 0;
    let ended = loop {
        match from.read(stream.space()) {
            Ok(0) => break Ok(()),
            Ok(read) => {
                bytes += read as u64;
                stream.advance(read, |place, found| collector.found(path, None, place, &found));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    stream.finish(|place, found| collector.found(path, None, place, &found));
    collector.searched(u64::from(ended.is_ok()), bytes);
    ended
}

/// Says that something was passed over on purpose.
fn passed_over(path: &str, reason: &str) {
    warn(&format!("{path} is not searched: {reason}"));
}
