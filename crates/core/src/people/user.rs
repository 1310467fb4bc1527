//! The metadata of users.

use serde::{Deserialize, Serialize};

/// The metadata of a user. It is created, changed, stored, shown and exported as this one type. A member that is
/// missing has its default; one that is not known is skipped, since a newer program may have stored it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserMetadata {
    /// The name to sign in with, as it was given.
    pub username: String,
    /// The name, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The email address, verified or not.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the email address was verified.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = false))]
    pub email_verified: bool,
}
