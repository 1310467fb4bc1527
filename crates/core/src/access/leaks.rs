//! Leaked API keys: what happens to a key that somebody found where it does not belong and handed in.
//!
//! Only somebody who has a key can hand it in, and could use it as well. So revoking it harms nobody who keeps keys secret.

use serde::{Deserialize, Serialize};

use crate::credential::loggable_line;

/// The most characters that are kept of where a key was found.
const MAX_SOURCE: usize = 256;

/// What an API wants done with a key of its own that leaked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakPolicy {
    /// It is marked as leaked, and works on.
    Flag,
    /// It is marked as leaked, and revoked.
    #[default]
    Revoke,
}

impl LeakPolicy {
    /// Both policies, the default first.
    pub const ALL: [Self; 2] = [Self::Revoke, Self::Flag];

    /// The policy's name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Revoke => "revoke",
        }
    }

    /// The policy for a key of several APIs: it is revoked unless all of them want it flagged. A key whose APIs are gone
    /// is revoked.
    pub fn of_all(policies: impl IntoIterator<Item = Self>) -> Self {
        let mut policies = policies.into_iter().peekable();
        let is_flagged = policies.peek().is_some() && policies.all(|policy| policy == Self::Flag);
        if is_flagged { Self::Flag } else { Self::Revoke }
    }
}

/// Where a key was found, as the reporter says: one line of at most 256 characters, without credentials. `None` if
/// nothing is left of it.
pub fn reported_source(text: &str) -> Option<String> {
    Some(loggable_line(text.trim(), MAX_SOURCE)).filter(|source| !source.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_flagged_only_if_all_of_its_apis_say_so() {
        use LeakPolicy::{Flag, Revoke};
        assert_eq!(LeakPolicy::of_all([Flag]), Flag);
        assert_eq!(LeakPolicy::of_all([Flag, Flag]), Flag);
        assert_eq!(LeakPolicy::of_all([Flag, Revoke]), Revoke);
        assert_eq!(LeakPolicy::of_all([Revoke]), Revoke);
        assert_eq!(LeakPolicy::of_all([]), Revoke);
        assert_eq!(LeakPolicy::default(), LeakPolicy::ALL[0]);
    }

    #[test]
    fn source_is_one_short_line_without_credentials() {
        let key = format!("sk_live_{}", "x".repeat(38));
        assert_eq!(reported_source(" https://a.example/b\n\u{1b}[31m ").as_deref(), Some("https://a.example/b[31m"));
        assert_eq!(reported_source(&key).as_deref(), Some("[credential]"));
        assert_eq!(reported_source(&"x y ".repeat(100)).map(|text| text.chars().count()), Some(256));
        assert_eq!(reported_source(" \u{200b}\n"), None);
    }
}
