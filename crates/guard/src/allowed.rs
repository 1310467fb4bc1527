//! Why a program accepts what the guard refuses by default: a sentence in its code, for those who read it later.

use std::fmt;

/// A reason, which is not empty.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct AllowedBecause(&'static str);

impl AllowedBecause {
    pub(crate) fn new(reason: &'static str) -> Option<Self> {
        (!reason.trim().is_empty()).then_some(Self(reason))
    }
}

impl fmt::Debug for AllowedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for AllowedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
