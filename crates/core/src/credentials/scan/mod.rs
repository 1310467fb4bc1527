//! Finding Doorward's secrets in any bytes: files, histories, logs.
//!
//! Every secret contains a mark, such as `_live_` or `dw_rt_`, and ends with a checksum (see [`crate::checksummed`]). One
//! pass over the bytes finds the marks, in every encoding that [`encoding`] knows; the checksum then decides. So text
//! that only looks like a secret is no finding, and a secret is found whatever is next to it.
//!
//! Easy to get wrong: the letters before a mark need not all belong to the prefix. `\nsk_live_…` in JSON and `%3dsk_live_…`
//! in a URL have the prefix `sk`. Every possible prefix is tried.

mod encoding;
mod stream;

use std::{fmt, ops::Range};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use aws_lc_rs::digest;

use self::encoding::{Around, Encoding};
pub use self::stream::{Place, Stream};
use crate::{
    api_key::ApiKey,
    checksummed::{ACCESS_TOKEN_PREFIX, CLIENT_SECRET_PREFIX, REFRESH_TOKEN_PREFIX, is_well_formed},
    key_kind::PUBLISHABLE_PREFIX,
    secret::{ExposeSecret, SecretString},
};

/// What kind of secret was found. Authorization codes are not looked for: they expire after a minute.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// An opaque access token.
    AccessToken,
    /// The secret of an OAuth client or of an API.
    ClientSecret,
    /// An API key for real use.
    LiveKey,
    /// An API key that is public: see [`crate::key_kind`].
    PublishableKey,
    /// A refresh token.
    RefreshToken,
    /// An API key for tests.
    TestKey,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::AccessToken, Self::ClientSecret, Self::LiveKey, Self::PublishableKey, Self::RefreshToken, Self::TestKey];

    /// Those that have a mark of their own.
    const MARKED: [Self; 5] = [Self::AccessToken, Self::ClientSecret, Self::LiveKey, Self::RefreshToken, Self::TestKey];

    /// The name for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::ClientSecret => "client_secret",
            Self::LiveKey => "live_api_key",
            Self::PublishableKey => "publishable_api_key",
            Self::RefreshToken => "refresh_token",
            Self::TestKey => "test_api_key",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AccessToken => "access token",
            Self::ClientSecret => "client secret",
            Self::LiveKey => "live API key",
            Self::PublishableKey => "publishable API key",
            Self::RefreshToken => "refresh token",
            Self::TestKey => "test API key",
        }
    }

    /// Whether it is an API key, which [`ApiKey`] parses.
    pub const fn is_key(self) -> bool {
        matches!(self, Self::LiveKey | Self::PublishableKey | Self::TestKey)
    }

    /// Whether it has to be kept secret.
    pub const fn is_secret(self) -> bool {
        !matches!(self, Self::PublishableKey)
    }

    /// The kind of a key with this prefix, whose mark is one of this kind.
    fn with_prefix(self, prefix: &str) -> Self {
        if prefix == PUBLISHABLE_PREFIX { Self::PublishableKey } else { self }
    }

    /// The text right before the random part of each secret of this kind.
    const fn mark(self) -> &'static str {
        match self {
            Self::AccessToken => ACCESS_TOKEN_PREFIX,
            Self::ClientSecret => CLIENT_SECRET_PREFIX,
            // One for tests has the other mark, and is publishable as well.
            Self::LiveKey | Self::PublishableKey => "_live_",
            Self::RefreshToken => REFRESH_TOKEN_PREFIX,
            Self::TestKey => "_test_",
        }
    }
}

/// A secret that was found.
#[derive(Clone)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// The bytes that it takes, encoded as they are.
    pub range: Range<usize>,
    /// Whether its characters take two bytes each, as in UTF-16.
    pub is_wide: bool,
    secret: SecretString,
}

impl Found {
    /// The secret itself, decoded. Only the server that issued it may see it.
    pub fn reveal(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The part that may be shown: everything except the last 34 characters, as in lists of keys.
    pub fn hint(&self) -> &str {
        let text = self.reveal();
        &text[..text.len() - 34]
    }

    /// Names the secret without revealing it: 128 bits of SHA-256, in hexadecimal. The same secret has the same
    /// fingerprint in every place. 190 random bits can't be guessed from it.
    pub fn fingerprint(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"doorward/scan/1\0");
        context.update(self.reveal().as_bytes());
        context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({} {}… at {:?})", self.kind.as_str(), self.hint(), self.range)
    }
}

/// Finds secrets. Building one takes about a millisecond; searching reads each byte once, at several gigabytes a second.
#[derive(Debug)]
pub struct Scanner {
    marks: AhoCorasick,
    /// Of each pattern of `marks`: what it is a mark of, and how it is encoded.
    patterns: Vec<(Kind, Encoding)>,
}

impl Scanner {
    /// A scanner for every kind of secret in every encoding.
    pub fn new() -> Self {
        let forms =
            || Kind::MARKED.into_iter().flat_map(|kind| encoding::forms(kind.mark()).map(move |form| (kind, form)));
        let marks = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(forms().map(|(_, (form, _))| form))
            .expect("45 short patterns");
        Self { marks, patterns: forms().map(|(kind, (_, encoding))| (kind, encoding)).collect() }
    }

    /// The secrets in a text, in the order of their marks.
    pub fn find(&self, text: &[u8]) -> impl Iterator<Item = Found> {
        self.find_marked(text, 0..text.len())
    }

    /// The secrets whose marks begin in `marks`. What is before and after it is looked at too.
    fn find_marked(&self, text: &[u8], marks: Range<usize>) -> impl Iterator<Item = Found> {
        let mut from = marks.start;
        std::iter::from_fn(move || {
            while from < marks.end {
                let hit = self.marks.find(Input::new(text).range(from..))?;
                // Marks can overlap: `live_test_` has two, which share an underscore.
                from = hit.start() + 1;
                if hit.start() >= marks.end {
                    break;
                }
                let (kind, encoding) = self.patterns[hit.pattern().as_usize()];
                let around = encoding::around(text, hit.range(), encoding);
                if let Some(found) = around.and_then(|around| secret(kind, hit.start(), encoding, &around)) {
                    return Some(found);
                }
            }
            None
        })
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

/// The secret around a mark, if there is one.
fn secret(kind: Kind, mark_at: usize, encoding: Encoding, around: &Around) -> Option<Found> {
    let rest = format!("{}{}", kind.mark(), std::str::from_utf8(&around.body).ok()?);
    let found = |kind, text: String, begin| Found {
        kind,
        range: begin..around.end,
        is_wide: encoding == Encoding::Wide,
        secret: text.into(),
    };
    if !kind.is_key() {
        return is_well_formed(&rest, kind.mark()).then(|| found(kind, rest, mark_at));
    }
    let prefix = |length: usize| around.before[..length].iter().rev().map(|(byte, _)| char::from(*byte)).collect();
    let mut prefixes = (1..=around.before.len()).rev().map(|length| (prefix(length), around.before[length - 1].1));
    prefixes.find_map(|(prefix, begin): (String, _)| {
        let text = format!("{prefix}{rest}");
        ApiKey::parse(&text).map(|_| found(kind.with_prefix(&prefix), text, begin))
    })
}

#[cfg(test)]
mod tests;
