//! Why a command ended before it could say what passed.
//!
//! Easy to get wrong: a failed test is no [`Failure`]; it is counted, and everything else still runs.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What stopped a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A program could be started, and ended with an error; `detail` is what it said, and may be empty.
    Command { line: String, detail: String },
    /// The operating system refused; `doing` is the sentence before the reason.
    Io { doing: String, source: io::Error },
    /// A `client-test.json` says something that is not understood.
    Manifest { path: PathBuf, reason: String },
    /// Programs that the tests need are absent or too old; `remedy` is what to type.
    Missing { tools: Vec<String>, remedy: String },
    /// The command line is wrong.
    Usage(String),
}

impl Failure {
    /// For `map_err`: what was being done when the operating system refused.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// 2 for what the person must mend first, 1 for all else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. } | Self::Usage(_) => 2,
            Self::Command { .. } | Self::Io { .. } | Self::Manifest { .. } => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { line, detail } if detail.is_empty() => write!(f, "`{line}` failed"),
            Self::Command { line, detail } => write!(f, "`{line}` failed:\n{detail}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Manifest { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Missing { tools, remedy } => write!(f, "not installed: {}\n{remedy}", tools.join(", ")),
            Self::Usage(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Command { .. } | Self::Manifest { .. } | Self::Missing { .. } | Self::Usage(_) => None,
        }
    }
}
