//! Signing in.

macro_rules! sign_in {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        UserUnknown { code: "user_unknown", status: 401, error: "access_denied", class: Credential,
            shown_as: "sign_in_failed", sentence: "User name or password is wrong.",
            cause: "No user has this name. The same work was done as for a wrong password.",
            remedy: "See `doorward user list`." }
        PasswordWrong { code: "password_wrong", status: 401, error: "access_denied", class: Credential,
            shown_as: "sign_in_failed", sentence: "User name or password is wrong.",
            cause: "The user exists, and the password is another.",
            remedy: "`doorward user set-password`, if the user forgot it." }
        UserDisabled { code: "user_disabled", status: 401, error: "access_denied", class: Credential,
            shown_as: "sign_in_failed", sentence: "User name or password is wrong.",
            cause: "The user is disabled.",
            remedy: "See `doorward user show`." }
        SignInThrottled { code: "sign_in_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many attempts. Wait, then try again.",
            cause: "Sign-in failed too often for this name or from this address; no password was looked at.",
            remedy: "A browser that signed in before, since the password was set, is not slowed by strangers. After a hundred failures in a row each network has one attempt in the longest wait; a right password ends that. `doorward user set-password` clears the counters." }
    } };
}
