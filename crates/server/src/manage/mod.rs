//! Managing what exists, a file per noun. The command line and the account page call these functions.
//!
//! There is no HTTP in here: each surface words an error for itself.

use doorward_core::{denial::Denial, refusal::Refusal, registration::InvalidRegistration};
use doorward_store::StoreError;

use crate::app::{OpenError, unavailable};

pub mod apis;
pub mod audit;
pub mod clients;
pub mod grants;
pub mod keys;
pub mod roles;
pub mod sessions;
pub mod signing_keys;
pub mod times;
pub mod tokens;
pub mod users;

/// Why an administrative operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// Something of this name exists already, or a scope is another API's.
    #[error("{0}")]
    Conflict(String),
    /// A member of what was sent can't be used: which, and why.
    #[error("{member}: {why}")]
    Invalid {
        /// The member, by its name in the metadata.
        member: &'static str,
        /// Why not, and what to do.
        why: String,
    },
    /// There is nothing of this name or id.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// The kind of thing, such as `client`.
        kind: &'static str,
        /// What was looked for.
        name: String,
    },
    /// What the server keeps in memory could not be read again.
    #[error(transparent)]
    Open(OpenError),
    /// The server refused, for a reason of the list.
    #[error("{}", .0.sentence())]
    Refused(#[from] Refusal),
    /// A signing key could not be generated.
    #[error("a signing key could not be generated")]
    Signing,
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OpenError> for ManageError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => Self::Store(error),
            error @ OpenError::MasterKey(..) => Self::Open(error),
        }
    }
}

impl From<InvalidRegistration> for ManageError {
    fn from(InvalidRegistration { member, why }: InvalidRegistration) -> Self {
        Self::Invalid { member, why }
    }
}

impl ManageError {
    pub(crate) fn invalid(member: &'static str, why: impl ToString) -> Self {
        Self::Invalid { member, why: why.to_string() }
    }

    /// A conflict in the store, described in the caller's terms.
    pub(crate) fn conflict(told: impl FnOnce() -> String) -> impl FnOnce(StoreError) -> Self {
        move |error| match error {
            StoreError::Conflict => Self::Conflict(told()),
            error => Self::Store(error),
        }
    }
}

impl From<ManageError> for Refusal {
    /// The same error for people and programs, over HTTP.
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Refused(refusal) => refusal,
            ManageError::Store(error) => unavailable(error),
            ManageError::Conflict(why) => Self::new(Denial::ParameterInvalid).fact("why", why),
            ManageError::Invalid { member, why } => {
                Self::new(Denial::ParameterInvalid).parameter(member).fact("why", why)
            }
            ManageError::NotFound { kind, name } => Self::new(Denial::ParameterInvalid).fact(kind, name),
            error @ (ManageError::Open(_) | ManageError::Signing) => Self::new(Denial::Unavailable).fact("why", error),
        }
    }
}
