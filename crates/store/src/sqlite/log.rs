//! What SQLite's log (`doorward.db-wal`) is, found out before SQLite opens it (sqlite.org/fileformat2.html section 4).
//!
//! Easy to get wrong: SQLite silently ignores a log whose header is not right, or whose first frame does not follow
//! from it. A header comes to the disk before the first frame does, so no crash leaves a log with a wrong header. A
//! crash can leave a first frame that does not follow: in a log that started again.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The state of the log beside a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Log {
    /// Nothing, or nothing in it.
    None,
    /// What SQLite does not read: no log of its own.
    Foreign,
    /// A log that holds nothing yet, by its first frame.
    Begun,
    /// A log that holds at least one frame.
    Filled,
}

impl Log {
    /// Looks at the file of this name.
    pub(super) fn look(path: &Path) -> io::Result<Log> {
        let mut file = match File::open(path) {
            Ok(file) if file.metadata()?.len() > HEADER as u64 => file,
            Ok(_) => return Ok(Log::None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Log::None),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let Some(sum) = Sum::of_header(&header) else { return Ok(Log::Foreign) };
        let page = number(&header, 8);
        let mut frame = Vec::new();
        file.take(FRAME_HEADER as u64 + u64::from(page.min(LARGEST_PAGE))).read_to_end(&mut frame)?;
        let is_whole = frame.len() == FRAME_HEADER + page as usize;
        let follows = is_whole && frame[8..16] == header[16..24] && {
            let sum = sum.and(&frame[..8]).and(&frame[FRAME_HEADER..]);
            sum.is(&frame[16..24])
        };
        Ok(if follows { Log::Filled } else { Log::Begun })
    }
}

/// The running checksum of a log.
#[derive(Clone, Copy)]
struct Sum {
    is_big_endian: bool,
    sums: [u32; 2],
}

impl Sum {
    /// That of a header, if it is one.
    fn of_header(header: &[u8; HEADER]) -> Option<Sum> {
        let is_big_endian = match number(header, 0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let sum = Sum { is_big_endian, sums: [0; 2] }.and(&header[..24]);
        sum.is(&header[24..]).then_some(sum)
    }

    fn and(self, bytes: &[u8]) -> Sum {
        let [mut first, mut second] = self.sums;
        for pair in bytes.chunks_exact(8) {
            first = first.wrapping_add(self.word(pair, 0)).wrapping_add(second);
            second = second.wrapping_add(self.word(pair, 4)).wrapping_add(first);
        }
        Sum { sums: [first, second], ..self }
    }

    fn word(self, bytes: &[u8], at: usize) -> u32 {
        let word = number(bytes, at);
        if self.is_big_endian { word } else { word.swap_bytes() }
    }

    fn is(self, stored: &[u8]) -> bool {
        self.sums == [number(stored, 0), number(stored, 4)]
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const LARGEST_PAGE: u32 = 65_536;

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    #[test]
    fn log_of_sqlite_is_known_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (database, path) = (folder.path().join("d.db"), folder.path().join("d.db-wal"));
        assert_eq!(Log::look(&path).unwrap(), Log::None);
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        let whole = fs::read(&path).unwrap();
        assert_eq!(Log::look(&path).unwrap(), Log::Filled);

        let look = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut changed = whole.clone();
            change(&mut changed);
            let other = folder.path().join("other");
            fs::write(&other, changed).unwrap();
            Log::look(&other).unwrap()
        };
        assert_eq!(look(&|log| log.truncate(HEADER)), Log::None);
        assert_eq!(look(&|log| log.fill(0)), Log::Foreign);
        assert_eq!(look(&|log| log.fill(0xA5)), Log::Foreign);
        for at in 0..HEADER {
            assert_eq!(look(&|log| log[at] ^= 1), Log::Foreign, "byte {at} of the header");
        }
        assert_eq!(look(&|log| log.truncate(HEADER + FRAME_HEADER + 100)), Log::Begun);
        for at in [0, 8, 15, 16, 23, 24, 1_000].map(|at| HEADER + at) {
            assert_eq!(look(&|log| log[at] ^= 1), Log::Begun, "byte {at}");
        }
    }
}
