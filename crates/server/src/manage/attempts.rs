//! Changes that start from what was read: if somebody else was faster, they are tried again on what is there then.

use doorward_store::Updated;

use super::ManageError;

/// How often a change is tried.
const MOST: usize = 8;

/// Makes a change. `attempt` reads, checks and commits; it returns `None` if somebody else changed the same meanwhile. `what`
/// names that, as in "this client".
pub(super) async fn until_done<T, F: Future<Output = Result<Option<T>, ManageError>>>(
    what: &str,
    attempt: impl Fn() -> F,
) -> Result<T, ManageError> {
    for _ in 0..MOST {
        if let Some(done) = attempt().await? {
            return Ok(done);
        }
    }
    Err(ManageError::Conflict(format!("others change {what} at the same time; try again")))
}

/// What an attempt gives by what the store answered: `done`, or the error that there is no such thing.
pub(super) fn outcome<T>(
    updated: Updated,
    done: T,
    unknown: impl FnOnce() -> ManageError,
) -> Result<Option<T>, ManageError> {
    match updated {
        Updated::Changed => Ok(None),
        Updated::Done => Ok(Some(done)),
        Updated::Unknown => Err(unknown()),
    }
}
