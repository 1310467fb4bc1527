//! What OpenID Connect's own scopes allow, in the user's words. The scopes of an API bring a sentence of their own.

/// The sentence of a scope, as a command: "See your name".
pub(crate) fn of_openid_connect(scope: &str) -> Option<&'static str> {
    match scope {
        "openid" => Some("Recognise you when you come back"),
        "profile" => Some("See your name"),
        "email" => Some("See your email address"),
        "offline_access" => Some("Stay signed in until you disconnect it"),
        _ => None,
    }
}
