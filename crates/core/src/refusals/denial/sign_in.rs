//! Signing in.

macro_rules! sign_in {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        UserUnknown { code: "user_unknown", status: 401, error: "access_denied", class: Credential,
            shown_as: "sign_in_failed", sentence: "The user name or password is wrong.",
            cause: "No user has this name. The server did the same work as for a wrong password.",
            remedy: "See `doorward user list`." }
        PasswordWrong { code: "password_wrong", status: 401, error: "access_denied", class: Credential,
            shown_as: "sign_in_failed", sentence: "The user name or password is wrong.",
            cause: "The user exists, but the password is wrong.",
            remedy: "If the user forgot the password, set a new one: `doorward user set-password`." }
        UserDisabled { code: "user_disabled", status: 401, error: "access_denied", class: Credential,
            shown_as: "sign_in_failed", sentence: "The user name or password is wrong.",
            cause: "The user is disabled.",
            remedy: "See `doorward user show`." }
        SignInThrottled { code: "sign_in_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many attempts. Wait, then try again.",
            cause: "Too many sign-ins failed for this name or from this address. The password was not checked.",
            remedy: "Browsers that signed in since the password was set are not slowed down. After 100 failures in a row, each network gets one attempt per `throttle.max_wait`, until a sign-in succeeds. `doorward user set-password` resets the counters." }
    } };
}
