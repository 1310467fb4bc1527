//! A family of refresh tokens: its times, its rotations, its repeats, and the key that seals a successor.

use std::{net::IpAddr, time::Duration};

use crate::{clock::Timestamp, digest};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Bounds of refresh tokens.
#[derive(Clone, Copy, Debug)]
pub struct RefreshLimits {
    /// How long a token may stay unused.
    pub idle: Duration,
    /// The maximum age of a family.
    pub absolute: Duration,
    /// How long an unbound client may repeat from the address that rotated.
    pub grace_same_address: Duration,
    /// How long it may repeat from other addresses.
    pub grace_other_address: Duration,
}

impl Default for RefreshLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 86_400),
            absolute: Duration::from_secs(180 * 86_400),
            grace_same_address: Duration::from_secs(60),
            grace_other_address: Duration::from_secs(10),
        }
    }
}

/// Repeats from other addresses than the one that rotated, in a day that began with the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OtherRepeats {
    /// Repeats so far on this day.
    pub count: u32,
    /// When the day began.
    pub since: Timestamp,
}

impl OtherRepeats {
    /// What counts at `now`: nothing, if the day is over.
    pub(super) fn at(self, now: Timestamp) -> Self {
        match now.since(self.since) < DAY {
            true => self,
            false => Self { count: 0, since: now },
        }
    }
}

/// When a family began, and when it expires, as decided at that time.
#[derive(Clone, Copy, Debug)]
pub struct FamilyTimes {
    /// When the first token of the family was issued.
    pub created_at: Timestamp,
    /// When the whole family expires, whatever its use.
    pub expires_at: Timestamp,
}

/// When an unused token expires: after its own idle time or with its family, whichever comes first. Shortened limits
/// also apply to existing families.
pub fn expires_at(issued_at: Timestamp, family: FamilyTimes, limits: &RefreshLimits) -> Timestamp {
    let absolute = family.expires_at.min(family.created_at.plus(limits.absolute));
    issued_at.plus(limits.idle).min(absolute)
}

/// When and from where a token was rotated, which is when its successor was issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// When the successor was issued.
    pub at: Timestamp,
    /// The address that requested the successor.
    pub address: IpAddr,
}

/// The key that seals a successor: derived from its predecessor, which the server does not keep. The
/// database, a backup and the pepper together can't open it.
pub fn successor_key(predecessor: &str, family: &str, generation: i64) -> zeroize::Zeroizing<[u8; 32]> {
    digest::derive(predecessor.as_bytes(), &format!("doorward/refresh-successor/{family}/{generation}"))
}
