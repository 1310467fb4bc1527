//! Sessions of signed-in users (OWASP ASVS V7): an idle and an absolute end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, denial::Denial};

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// How long a session may stay unused.
    pub idle: Duration,
    /// The maximum age of a session.
    pub absolute: Duration,
}

/// The times of a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionTimes {
    /// When the session began, by signing in.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
}

/// One way in which the user of a session was authenticated, and when.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Authentication {
    /// The method that the user signed in with.
    pub method: SignInMethod,
    /// The time of this authentication.
    pub at: Timestamp,
}

/// A way to sign in, by its name in RFC 8176 section 2.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SignInMethod {
    /// One factor: a password (`pwd` in RFC 8176).
    #[serde(rename = "pwd")]
    Password,
    /// A way that this program does not know: a newer one recorded it.
    #[serde(other, rename = "other")]
    Other,
}

/// When a user last signed in (OpenID Connect Core section 2, `auth_time`). The session began with a sign-in.
pub fn auth_time(times: &SessionTimes, authentications: &[Authentication]) -> Timestamp {
    authentications.iter().map(|authentication| authentication.at).max().unwrap_or(times.created_at)
}

impl SessionTimes {
    /// Whether the session is still valid.
    pub fn is_live(&self, limits: &SessionLimits, now: Timestamp) -> bool {
        self.ended_at.is_none()
            && now < self.last_seen_at.plus(limits.idle)
            && now < self.created_at.plus(limits.absolute)
    }

    /// Whether the use at `now` is worth a write: once in a while, not at each request.
    pub fn is_worth_touching(&self, limits: &SessionLimits, now: Timestamp) -> bool {
        now.since(self.last_seen_at) >= (limits.idle / 20).min(Duration::from_secs(60))
    }
}

/// What happened to a user since the password was checked.
#[derive(Clone, Copy, Debug)]
pub struct UserSinceCheck {
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// Whether the password has changed.
    pub has_other_password: bool,
}

/// Decides whether a session may begin. `None`: the user was removed.
pub fn check_begin(user: Option<UserSinceCheck>) -> Result<(), Denial> {
    match user {
        None => Err(Denial::UserUnknown),
        Some(user) if user.is_disabled => Err(Denial::UserDisabled),
        Some(user) if user.has_other_password => Err(Denial::PasswordWrong),
        Some(_) => Ok(()),
    }
}

/// Decides whether what a user asked for in a session may be done: not once the session was ended.
pub fn check_act(is_ended: bool) -> Result<(), Denial> {
    match is_ended {
        true => Err(Denial::FormExpired),
        false => Ok(()),
    }
}

/// Decides whether the password may be changed that was checked before, in a session. An operator's reset ends the
/// session as well, and that is what the browser has to hear of.
pub fn check_password_change(user: Option<UserSinceCheck>, is_ended: bool) -> Result<(), Denial> {
    check_act(is_ended)?;
    check_begin(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_time_is_the_last_authentication() {
        let at = |secs| Authentication { method: SignInMethod::Password, at: Timestamp::from_secs(secs) };
        let times =
            SessionTimes { created_at: Timestamp::from_secs(1), last_seen_at: Timestamp::from_secs(9), ended_at: None };
        assert_eq!(auth_time(&times, &[at(1), at(5)]), Timestamp::from_secs(5));
        assert_eq!(auth_time(&times, &[]), times.created_at);
        let newer: Authentication = serde_json::from_str(r#"{"method":"hwk","at":1000}"#).unwrap();
        assert_eq!(newer, Authentication { method: SignInMethod::Other, at: Timestamp::from_secs(1) });
    }

    #[test]
    fn session_begins_only_for_the_user_that_was_checked() {
        let same = UserSinceCheck { is_disabled: false, has_other_password: false };
        assert_eq!(check_begin(Some(same)), Ok(()));
        assert_eq!(check_begin(None), Err(Denial::UserUnknown));
        assert_eq!(check_begin(Some(UserSinceCheck { is_disabled: true, ..same })), Err(Denial::UserDisabled));
        assert_eq!(check_begin(Some(UserSinceCheck { has_other_password: true, ..same })), Err(Denial::PasswordWrong));
    }

    #[test]
    fn password_change_needs_the_same_password_and_session() {
        let same = UserSinceCheck { is_disabled: false, has_other_password: false };
        let other = UserSinceCheck { has_other_password: true, ..same };
        assert_eq!(check_password_change(Some(same), false), Ok(()));
        assert_eq!(check_password_change(Some(other), false), Err(Denial::PasswordWrong));
        assert_eq!(check_password_change(Some(same), true), Err(Denial::FormExpired));
        assert_eq!(check_password_change(Some(other), true), Err(Denial::FormExpired), "what a reset does");
        assert_eq!(check_password_change(None, false), Err(Denial::UserUnknown));
    }

    #[test]
    fn a_session_ends_idle_absolutely_or_by_hand() {
        let limits = SessionLimits { idle: Duration::from_secs(10), absolute: Duration::from_secs(100) };
        let at = Timestamp::from_secs;
        let session = SessionTimes { created_at: at(0), last_seen_at: at(95), ended_at: None };
        assert!(session.is_live(&limits, at(99)));
        assert!(!session.is_live(&limits, at(100)));
        let idle = SessionTimes { last_seen_at: at(50), ..session };
        assert!(idle.is_live(&limits, at(59)));
        assert!(!idle.is_live(&limits, at(60)));
        assert!(!SessionTimes { ended_at: Some(at(1)), ..session }.is_live(&limits, at(96)));
    }

    #[test]
    fn use_of_a_session_is_noted_once_a_minute() {
        let at = Timestamp::from_secs;
        let times = SessionTimes { created_at: at(0), last_seen_at: at(100), ended_at: None };
        let is_worth = |idle, now| {
            let limits = SessionLimits { idle: Duration::from_secs(idle), absolute: Duration::from_secs(86_400) };
            times.is_worth_touching(&limits, at(now))
        };
        assert!(!is_worth(3_600, 159) && is_worth(3_600, 160));
        assert!(!is_worth(200, 109) && is_worth(200, 110));
    }
}
