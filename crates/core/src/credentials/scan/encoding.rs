//! How a secret can be written in a text. A secret is ASCII letters, digits and underscores.
//!
//! - As it is, or with its underscores escaped as Markdown has them (`\_`), also within JSON (`\\_`).
//! - Percent-encoded once, in part or as a whole, at least its underscores.
//! - In UTF-16 of either byte order.
//! - In base64 or base64url, at any place of the encoded text: Basic credentials, Kubernetes secrets.

use std::{iter, ops::Range};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::checksummed::{CHECKSUM_CHARACTERS, RANDOM_CHARACTERS};

/// Characters behind a mark.
pub(super) const BODY: usize = RANDOM_CHARACTERS + CHECKSUM_CHARACTERS;
/// Characters of every mark.
const MARK: usize = 6;
/// Characters of the longest prefix.
const PREFIX: usize = 12;

/// The bytes before a mark that can belong to a secret: a prefix, percent-encoded as a whole.
pub(super) const BEFORE: usize = 3 * PREFIX;
/// The bytes from the beginning of a mark that can belong to a secret: `%5Flive%5F` and a body, percent-encoded as a whole.
pub(super) const AFTER: usize = 10 + 3 * BODY;

/// The way the characters of a secret are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    /// Base64. The mark begins `phase` bytes behind the beginning of a group of three.
    Base64 { phase: usize },
    /// Each character as it is or as `%` and two hexadecimal digits.
    Percent,
    /// As it is.
    Plain,
    /// UTF-16: a zero byte between any two characters.
    Wide,
}

/// Each way a mark is written.
pub(super) fn forms(mark: &'static str) -> impl Iterator<Item = (Vec<u8>, Encoding)> {
    let with = move |underscore: &str| mark.replace('_', underscore).into_bytes();
    let plain = ["_", r"\_", r"\\_"].map(|underscore| (with(underscore), Encoding::Plain));
    let percent = ["%5F", "%5f"].map(|underscore| (with(underscore), Encoding::Percent));
    let mut wide: Vec<_> = mark.bytes().flat_map(|byte| [byte, 0]).collect();
    wide.pop();
    let base64 = (0..3).map(move |phase| (in_base64(mark, phase), Encoding::Base64 { phase }));
    plain.into_iter().chain(percent).chain(iter::once((wide, Encoding::Wide))).chain(base64)
}

/// The characters of base64 that a mark alone decides.
fn in_base64(mark: &str, phase: usize) -> Vec<u8> {
    let bytes = [&[0].repeat(phase), mark.as_bytes()].concat();
    let whole = 8 * bytes.len() / 6;
    STANDARD_NO_PAD.encode(bytes).into_bytes()[characters_before(phase)..whole].to_vec()
}

/// The characters of base64 that contain a bit of the first `bytes` bytes.
const fn characters_before(bytes: usize) -> usize {
    (8 * bytes).div_ceil(6)
}

/// What is before and behind a mark, decoded.
pub(super) struct Around {
    /// The characters that can belong to a prefix, the nearest first, each with where it begins.
    pub(super) before: Vec<(u8, usize)>,
    /// The characters behind the mark.
    pub(super) body: [u8; BODY],
    /// Where the body ends.
    pub(super) end: usize,
}

/// Decodes what is around a mark. `None` if it is not followed by enough letters and digits.
pub(super) fn around(text: &[u8], mark: Range<usize>, encoding: Encoding) -> Option<Around> {
    let mut behind = behind(text, &mark, encoding);
    let (mut body, mut end) = ([0; BODY], mark.end);
    for place in &mut body {
        let (byte, range) = behind.next().filter(|(byte, _)| byte.is_ascii_alphanumeric())?;
        (*place, end) = (byte, range.end);
    }
    let before = before(text, &mark, encoding)
        .take(PREFIX)
        .take_while(|(byte, _)| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        .map(|(byte, range)| (byte, range.start));
    Some(Around { before: before.collect(), body, end })
}

/// The bytes behind a mark, decoded, each with its range.
fn behind(text: &[u8], mark: &Range<usize>, encoding: Encoding) -> impl Iterator<Item = (u8, Range<usize>)> {
    let (begin, mut at) = (mark.start, mark.end);
    let mut index = 0;
    iter::from_fn(move || {
        let (byte, range) = match encoding {
            Encoding::Base64 { phase } => base64_byte(text, begin, phase, (phase + MARK + index) as isize)?,
            Encoding::Percent => match escaped(text, at) {
                Some(byte) => (byte, at..at + 3),
                None => (*text.get(at)?, at..at + 1),
            },
            Encoding::Plain => (*text.get(at)?, at..at + 1),
            Encoding::Wide => match text.get(at..at + 2)? {
                [0, byte] => (*byte, at..at + 2),
                _ => return None,
            },
        };
        (at, index) = (range.end, index + 1);
        Some((byte, range))
    })
}

/// The bytes before a mark, decoded, the nearest first, each with its range.
fn before(text: &[u8], mark: &Range<usize>, encoding: Encoding) -> impl Iterator<Item = (u8, Range<usize>)> {
    let (begin, mut at) = (mark.start, mark.start);
    let mut index = 0;
    iter::from_fn(move || {
        let (byte, range) = match encoding {
            Encoding::Base64 { phase } => base64_byte(text, begin, phase, phase as isize - 1 - index)?,
            Encoding::Percent => match at.checked_sub(3).and_then(|first| Some((escaped(text, first)?, first))) {
                Some((byte, first)) => (byte, first..at),
                None => (text[at.checked_sub(1)?], at - 1..at),
            },
            Encoding::Plain => (text[at.checked_sub(1)?], at - 1..at),
            Encoding::Wide => match text[at.checked_sub(2)?..at] {
                [byte, 0] => (byte, at - 2..at),
                _ => return None,
            },
        };
        (at, index) = (range.start, index + 1);
        Some((byte, range))
    })
}

/// The byte that is percent-encoded at a place.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = text.get(at..at + 3)? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// A byte of a text in base64, counted from the beginning of the group in which the mark begins, and its characters.
fn base64_byte(text: &[u8], mark: usize, phase: usize, index: isize) -> Option<(u8, Range<usize>)> {
    let group = mark.checked_sub(characters_before(phase))?;
    let first = group.checked_add_signed(4 * index.div_euclid(3) + index.rem_euclid(3))?;
    let pair = text.get(first..first + 2)?;
    let (left, right) = (u16::from(sextet(pair[0])?), u16::from(sextet(pair[1])?));
    let shift = 4 - 2 * index.rem_euclid(3);
    Some((((left << 6 | right) >> shift & 0xff) as u8, first..first + 2))
}

/// The six bits of a character of base64 or base64url.
fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
