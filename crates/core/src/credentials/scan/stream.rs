//! Scanning a text of any length in pieces, with a bounded buffer.
//!
//! A mark is looked at once all that can belong to its secret has been read, and what is before it is still there. So the
//! borders of the pieces change nothing.

use super::{
    Found, Scanner,
    encoding::{AFTER, BEFORE},
};

/// Bytes of the longest byte order mark: the text's first bytes are counted together.
const LONGEST_ORDER_MARK: usize = 3;

/// Where a secret is in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Its column, from 1, in characters: code points of UTF-8, or units of UTF-16.
    pub column: u64,
}

/// A text that is read piece by piece: write into [`Self::space`], then call [`Self::advance`], and [`Self::finish`] at the
/// end.
pub struct Stream<'a> {
    scanner: &'a Scanner,
    buffer: Box<[u8]>,
    /// How many bytes of the buffer are in use.
    filled: usize,
    /// Marks that begin before this byte of the buffer have been looked at.
    searched: usize,
    /// The place of the buffer's first byte.
    begin: Counter,
}

impl<'a> Stream<'a> {
    /// A text of which nothing has been read. `capacity` is the size of the buffer in bytes.
    pub fn new(scanner: &'a Scanner, capacity: usize) -> Self {
        let buffer = vec![0; capacity.max(2 * (BEFORE + AFTER))].into();
        Self { scanner, buffer, filled: 0, searched: 0, begin: Counter::START }
    }

    /// Where the next bytes of the text belong; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes the first `read` bytes of [`Self::space`] as the next ones of the text, and reports what they complete.
    pub fn advance(&mut self, read: usize, report: impl FnMut(Place, Found)) {
        self.filled += read;
        let until = self.filled.saturating_sub(AFTER);
        self.search(until, report);
        let mut keep = self.searched.saturating_sub(BEFORE);
        if self.begin.offset == 0 && keep < LONGEST_ORDER_MARK {
            keep = 0;
        }
        self.begin.count(&self.buffer[..keep]);
        self.buffer.copy_within(keep..self.filled, 0);
        (self.filled, self.searched) = (self.filled - keep, self.searched - keep);
    }

    /// Ends the text, reports the rest, and begins another text.
    pub fn finish(&mut self, report: impl FnMut(Place, Found)) {
        self.search(self.filled, report);
        (self.filled, self.searched, self.begin) = (0, 0, Counter::START);
    }

    fn search(&mut self, until: usize, mut report: impl FnMut(Place, Found)) {
        if until <= self.searched {
            return;
        }
        let text = &self.buffer[..self.filled];
        let mut found: Vec<_> = self.scanner.find_marked(text, self.searched..until).collect();
        found.sort_by_key(|found| found.range.start);
        let (mut counter, mut counted) = (self.begin, 0);
        for found in found {
            counter.count(&text[counted..found.range.start]);
            counted = found.range.start;
            report(counter.place(found.is_wide), found);
        }
        self.searched = until;
    }
}

/// Counts lines and columns.
#[derive(Clone, Copy)]
struct Counter {
    offset: u64,
    lines: u64,
    /// Of the last line.
    bytes: u64,
    characters: u64,
}

impl Counter {
    const START: Self = Self { offset: 0, lines: 0, bytes: 0, characters: 0 };

    fn count(&mut self, text: &[u8]) {
        let mut rest = text;
        if self.offset == 0 {
            // A byte order mark takes no column.
            let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
            rest = marks.into_iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text);
        }
        self.offset += text.len() as u64;
        if let Some(last) = memchr::memrchr(b'\n', rest) {
            self.lines += memchr::memchr_iter(b'\n', rest).count() as u64;
            (self.bytes, self.characters) = (0, 0);
            rest = &rest[last + 1..];
        }
        let is_first = |byte: &&u8| (**byte & 0b1100_0000) != 0b1000_0000;
        self.bytes += rest.len() as u64;
        self.characters += rest.iter().filter(is_first).count() as u64;
    }

    fn place(self, is_wide: bool) -> Place {
        // Of the line break of UTF-16, one byte can be on either side: half a unit.
        let before = if is_wide { self.bytes / 2 } else { self.characters };
        Place { offset: self.offset, line: self.lines + 1, column: before + 1 }
    }
}
