//! The rotation of a key in the words of its page.

use std::time::Duration;

use super::{
    key_pages::{Caller, OtherKey, Replacement, RotationWords},
    user_agent::describe_user_agent,
};
use crate::{
    app::App,
    manage::keys::{
        KeyState, KeyView, OldUseView,
        own::{NoRotation, OwnKeyDetails},
    },
    pages::time_in_words::{Moment, wait},
};

impl RotationWords {
    pub(super) fn of(app: &App, details: &OwnKeyDetails) -> Self {
        let works = |other: &&KeyView| other.state == KeyState::Active;
        Self {
            is_offered: details.no_rotation.is_none(),
            is_for_operators: details.no_rotation == Some(NoRotation::NotForUsers),
            replacement: Replacement::of(app, details),
            predecessor: details.predecessor.as_ref().filter(works).map(OtherKey::of),
        }
    }
}

impl Replacement {
    fn of(app: &App, details: &OwnKeyDetails) -> Option<Self> {
        let rotation = details.key.rotation.as_ref().filter(|rotation| rotation.successor.is_some())?;
        let moment = |at| Moment { at, now: app.now() };
        let caller = |used: &OldUseView| Caller {
            program: program(used.user_agent.as_deref()),
            address: used.address.clone(),
            last_used: moment(used.last_used_at),
        };
        Some(Self {
            successor: details.successor.as_ref().map(OtherKey::of),
            is_open: details.key.state == KeyState::Active,
            successor_is_used: details.successor.as_ref().is_some_and(|key| key.last_used_at.is_some()),
            quiet_for: span(details.quiet_for.unwrap_or_default()),
            deadline: rotation.deadline.map(moment),
            used_since: details.key.last_used_at.filter(|at| Some(*at) > details.rotated_at).map(moment),
            callers: rotation.old_uses.iter().map(caller).collect(),
        })
    }
}

impl OtherKey {
    fn of(key: &KeyView) -> Self {
        Self { id: key.id.to_string(), hint: key.hint.clone(), state: state_in_words(key) }
    }
}

/// What is worth knowing about the state of a key: why it can't be used, that it leaked, or that it is being replaced.
pub(super) fn state_in_words(key: &KeyView) -> Option<String> {
    let is_replaced = key.rotation.as_ref().is_some_and(|rotation| rotation.successor.is_some());
    match key.state {
        KeyState::Active if key.leaked_at.is_some() => Some("leaked".to_owned()),
        KeyState::Active if is_replaced => Some("being replaced".to_owned()),
        KeyState::Active => None,
        state => Some(state.in_words()),
    }
}

/// A length of time in words: in days where it is whole days, else rounded up as [`wait`] does.
pub(super) fn span(time: Duration) -> String {
    match (time.as_secs() / 86_400, time.as_secs() % 86_400) {
        (1, 0) => "1 day".to_owned(),
        (days @ 2.., 0) => format!("{days} days"),
        _ => wait(time),
    }
}

/// Who uses a key: a browser as people know it, any other program as it names itself.
fn program(user_agent: Option<&str>) -> String {
    match user_agent {
        Some(browser) if browser.starts_with("Mozilla/") => describe_user_agent(browser),
        Some(program) => program.to_owned(),
        None => "A program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_days_and_the_rest_is_rounded_up() {
        let words = |secs| span(Duration::from_secs(secs));
        assert_eq!([words(86_400), words(7 * 86_400)], ["1 day", "7 days"]);
        assert_eq!([words(300), words(36 * 3_600)], ["5 minutes", "36 hours"]);
    }

    #[test]
    fn programs_name_themselves_and_browsers_are_described() {
        assert_eq!(program(Some("curl/8.14.1")), "curl/8.14.1");
        assert_eq!(program(Some("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Firefox/144.0")), "Firefox on Linux");
        assert_eq!(program(None), "A program");
    }
}
