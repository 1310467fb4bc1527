//! API keys.

macro_rules! keys {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        KeyMistyped { code: "key_mistyped", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key looks mistyped: its length or its checksum is wrong. Copy the whole key again.",
            cause: "The key's checksum is wrong: the key was mistyped, truncated or invented. It was not looked up.",
            remedy: "Have the caller copy the whole key again." }
        KeyUnknown { code: "key_unknown", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key is unknown.",
            cause: "No key has this digest. The key may be from another installation, or its pepper's master key is missing.",
            remedy: "Run `doorward key list`. If many keys are unknown at once, check that the server has the right master key file." }
        KeyOfAnotherApi { code: "key_of_another_api", status: 401, error: "invalid_token", class: Credential,
            shown_as: "key_unknown", sentence: "This API key is unknown.",
            cause: "The key exists, but is not for this API.",
            remedy: "Create a key for this API: `doorward key create --api NAME`." }
        KeyExpired { code: "key_expired", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key has expired. Ask for a new one.",
            cause: "The key's expiry time has passed.",
            remedy: "Create a new key: `doorward key create`." }
        KeyRevoked { code: "key_revoked", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key has been revoked. Ask for a new one.",
            cause: "The key was revoked.",
            remedy: "`doorward key show` shows when, and `doorward audit tail` by whom." }
        KeyDisabled { code: "key_disabled", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key is disabled.",
            cause: "The key was disabled. It works again once it is enabled.",
            remedy: "`doorward key show` shows since when, and `doorward audit tail` by whom. Enable it: `doorward key enable`." }
        KeyAddressNotAllowed { code: "key_address_not_allowed", status: 403, error: "", class: Permission,
            sentence: "This API key can't be used from this address.",
            cause: "The caller's address is not among those that the key may be used from, or it is not known.",
            remedy: "Add the address: `doorward key update --allow-address`. If it is not known, have the API pass its caller's address on." }
        KeyOriginNotAllowed { code: "key_origin_not_allowed", status: 403, error: "", class: Permission,
            sentence: "This publishable key can't be used from here. It works in the pages of its own origins only.",
            cause: "The request has no `Origin` header, or that of a page whose origin is not among those that the key is bound to. \
                    The facts say which.",
            remedy: "Add the origin of the page: `doorward key update --allow-origin`. On a server, use a secret key. If the header \
                     was sent and is not known, have the API pass it on." }
        KeyRateLimited { code: "key_rate_limited", status: 429, error: "", class: Request,
            sentence: "This API key is used too often. Wait as long as Retry-After says.",
            cause: "The key's rate limit is reached.",
            remedy: "If the use is legitimate, raise the limit: `doorward key update --rate-limit`." }
        KeyQuotaExhausted { code: "key_quota_exhausted", status: 429, error: "", class: Request,
            sentence: "The quota of this API key is used up. It is renewed after the time that Retry-After says.",
            cause: "The key's quota of this day or month is used up.",
            remedy: "If the use is legitimate, raise the quota: `doorward key update --quota`." }
        KeyUsesExhausted { code: "key_uses_exhausted", status: 403, error: "", class: Permission,
            sentence: "This API key has no uses left. Ask for a new one.",
            cause: "The key has a number of uses, and none is left.",
            remedy: "Set the number again: `doorward key update --uses`. Or create a new key." }
        KeyOwnerDisabled { code: "key_owner_disabled", status: 401, error: "invalid_token", class: Credential,
            sentence: "This API key is disabled.",
            cause: "The user or client that owns the key is disabled, or was deleted.",
            remedy: "`doorward key show` shows which. Enable a disabled owner, or create a key for another one." }
        KeyInBrowser { code: "key_in_browser", status: 403, error: "", class: Permission,
            sentence: "This API key was sent from a browser or an app, where its users can read it. Rotate the key. Call your own \
                       backend instead, and have the backend call this API with the key.",
            cause: "A live key came with an `Origin` header, or with the user agent of a browser or an app. The facts say which.",
            remedy: "Have the caller rotate the key and send it from a backend. Or use a test key, or access tokens (authorization code \
                     with PKCE). A program on a server that is taken for an app sets a `User-Agent` of its own." }
    } };
}
