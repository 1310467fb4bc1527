//! Managing what exists, a file per noun. The command line and the account page call these functions.
//!
//! There is no HTTP in here: each surface words an error for itself.

use std::fmt::Display;

use doorward_core::{
    denial::Denial,
    refusal::{Mistake, Refusal},
};
use doorward_store::{StoreError, uses::Uses};

pub use self::departure::{Departure, Disabling};
use crate::app::{OpenError, unavailable};

pub mod apis;
mod attempts;
pub mod audit;
pub mod clients;
mod departure;
pub(crate) mod document;
pub mod grants;
pub mod holders;
pub mod keys;
pub mod legacy;
pub mod page;
pub mod roles;
pub mod sessions;
pub mod signing_keys;
pub mod state;
pub mod times;
pub mod tokens;
pub mod users;
pub mod uses;
pub mod webhooks;

/// Why an administrative operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// Something of this name exists already, or a scope is another API's.
    #[error("{0}")]
    Conflict(String),
    /// It ends what is in use, and nobody confirmed that.
    #[error("this ends {}", uses::in_words(.0))]
    InUse(Uses),
    /// Members of what was sent can't be used: each with its place.
    #[error("{}", listed(.0))]
    Mistakes(Vec<Mistake>),
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

impl From<Vec<Mistake>> for ManageError {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(mistakes)
    }
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
}

impl ManageError {
    /// The only mistake of what was sent, in one of its members.
    pub(crate) fn invalid(member: &str, why: impl Display) -> Self {
        Self::Mistakes(vec![Mistake::at(member, why)])
    }

    /// The same error, with each of its mistakes made into another one.
    pub(crate) fn each_mistake(self, change: impl Fn(Mistake) -> Mistake) -> Self {
        match self {
            Self::Mistakes(mistakes) => Self::Mistakes(mistakes.into_iter().map(change).collect()),
            other => other,
        }
    }

    /// Whether all that is wrong is that something which was named does not exist.
    pub fn is_of_unknown(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Mistakes(mistakes) => mistakes.iter().all(|mistake| mistake.names_nothing),
            _ => false,
        }
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
            ManageError::Conflict(why) => Self::new(Denial::Conflict).mistakes(&[Mistake::at("", why)]),
            ManageError::InUse(uses) => {
                Self::new(Denial::ConfirmationRequired).extension("ends", serde_json::json!(uses))
            }
            ManageError::Mistakes(mistakes) => Self::new(Denial::BodyInvalid).mistakes(&mistakes),
            ManageError::NotFound { kind, name } => Self::new(Denial::IdUnknown).fact(kind, name),
            error @ (ManageError::Open(_) | ManageError::Signing) => Self::new(Denial::Unavailable).fact("why", error),
        }
    }
}
