//! Why a command ended without doing what was asked, and the exit code for it.

use std::{io::Write, process::ExitCode};

use doorward_server::{app::OpenError, manage::ManageError};
use doorward_store::{FolderError, StoreError};
use serde_json::json;

use crate::output::{Output, shown};

/// What every command may exit with; shown by `doorward --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused, unknown, taken, (token verify) not valid, or (scan) something found
  2  error in the command line or the configuration
  3  a file, the data folder, the database or the network is unavailable
  4  (apply --detailed-exit-code) something changed, or would change
Errors go to standard error: as text, or with --json as {\"error\":\"…\",\"message\":\"…\"}";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An administrative operation failed.
    #[error(transparent)]
    Admin(#[from] ManageError),
    /// The configuration has mistakes, which were rendered already.
    #[error("{0}")]
    Configuration(String),
    /// Something could not be found, or was not valid.
    #[error("{0}")]
    NotDone(String),
    /// The reader closed the output, as `head` does.
    #[error("the output was closed by its reader")]
    ReaderGone,
    /// The server could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file, a port or another resource of the machine can't be used.
    #[error("{0}")]
    System(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        Self::System(error.to_string())
    }
}

impl Failure {
    /// A failure of the machine, with what was being done.
    pub(crate) fn system(what: &str, error: impl std::fmt::Display) -> Self {
        Self::System(format!("{what}: {error}"))
    }

    /// Writes the failure to standard error and gives the exit code.
    pub(crate) fn report(&self, output: Output) -> ExitCode {
        if matches!(self, Self::ReaderGone) {
            return ExitCode::SUCCESS;
        }
        let message = self.to_string();
        let text = match self {
            _ if output.json => {
                let mut told = json!({"error": self.kind(), "message": message.trim_end()});
                if let Self::Admin(ManageError::InUse(uses)) = self {
                    told["ends"] = json!(uses);
                }
                told.to_string()
            }
            Self::Admin(ManageError::InUse(_)) => format!("error: {message}. To do it, add --confirm"),
            Self::Configuration(_) => message.trim_end().to_owned(),
            // Others may have written what it quotes: a file, a server, a log.
            _ => format!("error: {}", shown(&message)),
        };
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(std::io::stderr(), "{text}");
        ExitCode::from(match self {
            Self::Admin(error) if error.is_of_unknown() => 1,
            Self::Admin(ManageError::Mistakes(_)) | Self::Configuration(_) | Self::Usage(_) => 2,
            Self::Admin(ManageError::Store(_)) | Self::Open(_) | Self::Store(_) | Self::System(_) => 3,
            Self::Admin(_) | Self::NotDone(_) | Self::ReaderGone => 1,
        })
    }

    /// The kind of failure, for programs.
    fn kind(&self) -> &'static str {
        match self {
            Self::Admin(ManageError::Conflict(_)) => "conflict",
            Self::Admin(ManageError::InUse(_)) => "confirmation_required",
            Self::Admin(error) if error.is_of_unknown() => "not_found",
            Self::Admin(ManageError::Mistakes(_)) => "invalid",
            Self::Admin(ManageError::NotFound { .. }) => "not_found",
            Self::Admin(ManageError::Refused(refusal)) => refusal.denial.code(),
            Self::Admin(ManageError::Open(_) | ManageError::Signing | ManageError::Store(_)) => "unavailable",
            Self::Configuration(_) => "configuration",
            Self::NotDone(_) | Self::ReaderGone => "not_done",
            Self::Open(_) | Self::Store(_) | Self::System(_) => "unavailable",
            Self::Usage(_) => "usage",
        }
    }
}
