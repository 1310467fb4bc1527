//! What the audit records: a closed list of actions, written as `subject.verb`.

use std::{fmt, str::FromStr};

macro_rules! actions {
    ($($variant:ident $word:literal,)*) => {
        /// What happened.
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        pub enum AuditAction {
            $(#[doc = concat!("`", $word, "`")] $variant,)*
            /// An action that this program does not know: a newer one recorded it.
            Other(Box<str>),
        }

        impl AuditAction {
            /// The action as it is recorded.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl AuditAction {
            /// Every action that this program records, in alphabetical order.
            fn known() -> Vec<&'static str> {
                let mut words = vec![$($word,)*];
                words.sort_unstable();
                words
            }
        }

        impl From<&str> for AuditAction {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    word => Self::Other(word.into()),
                }
            }
        }
    };
}

actions! {
    AccessTokenIssued "token.issued",
    AccessTokenRevoked "access_token.revoked",
    ApiCreated "api.created",
    ApiDeleted "api.deleted",
    ApiScopesAdded "api.scopes_added",
    ApiUpdated "api.updated",
    AuditEventsRemoved "audit.events_removed",
    BackupCreated "backup.created",
    BackupRestored "backup.restored",
    ClientCreated "client.created",
    ClientDeleted "client.deleted",
    ClientDisabled "client.disabled",
    ClientDisconnected "client.disconnected",
    ClientEnabled "client.enabled",
    ClientSecretRotated "client.secret_rotated",
    ClientUpdated "client.updated",
    CodeRedeemed "code.redeemed",
    CodeReplayed "code.replayed",
    GrantDenied "grant.denied",
    GrantGiven "grant.given",
    GrantRevoked "grant.revoked",
    IssuerChanged "issuer.changed",
    KeyCreated "key.created",
    KeyDisabled "key.disabled",
    KeyEnabled "key.enabled",
    KeyExpiring "key.expiring",
    KeyLeaked "key.leaked",
    KeyNewNetwork "key.new_network",
    KeyRevoked "key.revoked",
    KeyRotated "key.rotated",
    KeyRotationDue "key.rotation_due",
    KeyRotationEnded "key.rotation_ended",
    KeyUpdated "key.updated",
    KeyUsedAfterEnd "key.used_after_end",
    KeyUsedAfterLeak "key.used_after_leak",
    KeysRevoked "keys.revoked",
    RefreshTokenRepeated "refresh_token.repeated",
    RefreshTokenReused "refresh_token.reused",
    RefreshTokenRevoked "refresh_token.revoked",
    RefreshTokenRotated "refresh_token.rotated",
    RefreshTokenSuspicious "refresh_token.suspicious",
    RequestRefused "request.refused",
    RoleGranted "role.granted",
    RoleWithdrawn "role.withdrawn",
    SessionBegan "session.began",
    SessionsEnded "sessions.ended",
    SigningKeyCreated "signing_key.created",
    SigningKeyRemoved "signing_key.removed",
    SigningKeyWithdrawn "signing_key.withdrawn",
    UserCreated "user.created",
    UserDeleted "user.deleted",
    UserDisabled "user.disabled",
    UserEmailVerified "user.email_verified",
    UserEnabled "user.enabled",
    UserPasswordSet "user.password_set",
    UserUpdated "user.updated",
    WebhookCreated "webhook.created",
    WebhookDeleted "webhook.deleted",
    WebhookDisabled "webhook.disabled",
    WebhookEnabled "webhook.enabled",
    WebhookReplayed "webhook.replayed",
    WebhookSecretRotated "webhook.secret_rotated",
    WebhookTested "webhook.tested",
    WebhookUpdated "webhook.updated",
}

/// A text that is no action.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an action. The actions are {}", AuditAction::known().join(", "))]
pub struct UnknownAction;

impl FromStr for AuditAction {
    type Err = UnknownAction;

    /// Reads an action that this program knows.
    fn from_str(word: &str) -> Result<Self, UnknownAction> {
        match Self::from(word) {
            Self::Other(_) => Err(UnknownAction),
            known => Ok(known),
        }
    }
}

/// What users are shown of what they did and of what was done to their account, as SQL lists it.
pub(super) const SHOWN_OF_USER: &str = "'session.began', 'sessions.ended', 'grant.given', 'client.disconnected', 'key.created', 'key.revoked', \
     'user.password_set', 'user.enabled'";
/// What they are shown of what happened to that which they granted.
pub(super) const SHOWN_OF_GRANT: &str = "'grant.given', 'code.replayed', 'refresh_token.reused'";
/// What is recorded so often that the index of what users are shown leaves it out.
pub(super) const MANY: &str = "'request.refused', 'token.issued', 'refresh_token.rotated'";

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_are_shown_are_actions() {
        for word in SHOWN_OF_USER.split(", ").chain(SHOWN_OF_GRANT.split(", ")) {
            let action = AuditAction::from(word.trim_matches('\''));
            assert!(!matches!(action, AuditAction::Other(_)), "{word}");
            assert!(!MANY.contains(word), "{word} is not in the index");
        }
    }
}
