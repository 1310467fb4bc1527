//! What a deletion or a narrowing ends. The caller has to confirm it, after being shown the list.

use doorward_store::uses::{Count, Used, Uses, UsesOf};

use super::ManageError;
use crate::app::App;

/// What a change would do, without doing it.
#[derive(Clone, Debug)]
pub struct Preview<V> {
    /// What is there.
    pub before: V,
    /// What would be there.
    pub after: V,
    /// What the change would end.
    pub ends: Uses,
}

/// What names something, and ends with it.
pub(super) async fn of(app: &App, used: Used) -> Result<Uses, ManageError> {
    Ok(app.store.read(UsesOf { used, now: app.now() }).await?)
}

/// Refuses what ends something in use, unless it is confirmed.
pub(super) async fn check_confirmed(app: &App, used: Used, is_confirmed: bool) -> Result<(), ManageError> {
    if is_confirmed {
        return Ok(());
    }
    check_ends(of(app, used).await?, is_confirmed)
}

/// The same, where what ends is known.
pub(super) fn check_ends(ends: Uses, is_confirmed: bool) -> Result<(), ManageError> {
    match is_confirmed || ends == Uses::default() {
        true => Ok(()),
        false => Err(ManageError::InUse(ends)),
    }
}

/// What is in use, in words.
pub fn in_words(uses: &Uses) -> String {
    let Uses { clients, grants, keys, role_grants, sessions } = uses;
    let kinds = [
        (sessions, "session", "sessions"),
        (grants, "grant", "grants"),
        (keys, "key", "keys"),
        (clients, "client", "clients"),
        (role_grants, "role", "roles"),
    ];
    let counted = |(count, one, many): (&Count, &str, &str)| match count {
        Count { number: 0, is_more: false } => None,
        Count { number: 1, is_more: false } => Some(format!("1 {one}")),
        Count { number, is_more: false } => Some(format!("{number} {many}")),
        Count { number, is_more: true } => Some(format!("{number} or more {many}")),
    };
    match kinds.into_iter().filter_map(counted).collect::<Vec<_>>() {
        counted if counted.is_empty() => "nothing".to_owned(),
        counted => counted.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_in_words_leave_out_what_there_is_none_of() {
        let count = |number, is_more| Count { number, is_more };
        assert_eq!(in_words(&Uses::default()), "nothing");
        let uses = Uses { sessions: count(1, false), keys: count(2, false), ..Uses::default() };
        assert_eq!(in_words(&uses), "1 session, 2 keys");
        assert_eq!(in_words(&Uses { grants: count(1_000, true), ..Uses::default() }), "1000 or more grants");
    }
}
