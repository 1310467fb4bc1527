//! API keys.

macro_rules! keys {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        KeyMistyped { code: "key_mistyped", status: 401, error: "invalid_token", class: Credential,
            shown_as: "key_unknown", sentence: "This API key is not known here.",
            cause: "The text has the form of a key, but its checksum does not hold: it was mistyped, cut or invented. No look-up was made.",
            remedy: "Let the caller copy the key again, whole." }
        KeyUnknown { code: "key_unknown", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key is not known here.",
            cause: "No key with this digest exists. It may be of another installation, or its pepper's master key is missing.",
            remedy: "See `doorward key list`; if many keys are unknown at once, check that the master key file is the right one." }
        KeyOfAnotherApi { code: "key_of_another_api", status: 401, error: "invalid_token", class: Credential,
            shown_as: "key_unknown", sentence: "This API key is not known here.",
            cause: "The key exists, but does not name this API.",
            remedy: "Make a key for this API: `doorward key create --api NAME`." }
        KeyExpired { code: "key_expired", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key has expired. Ask for a new one.",
            cause: "The key's expiry has passed.",
            remedy: "Make a successor: `doorward key create`." }
        KeyRevoked { code: "key_revoked", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key was revoked. Ask for a new one.",
            cause: "The key was revoked.",
            remedy: "See `doorward key show` for when, and `doorward audit tail` for by whom." }
        KeyOwnerDisabled { code: "key_owner_disabled", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key can't be used at present.",
            cause: "The user or client that owns the key is disabled.",
            remedy: "Enable the owner, or make a key for another one." }
    } };
}
