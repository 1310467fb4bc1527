//! Client authentication (RFC 6749 section 2.3).

macro_rules! client_authentication {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        ClientAuthenticationMissing { code: "client_authentication_missing", status: 401, error: "invalid_client", class: Credential,
            sentence: "The client did not authenticate. Send `client_id` and the client's credential.",
            cause: "No client_id and no Authorization header came with the request.",
            remedy: "Compare the client's configuration with `doorward client show`." }
        ClientAuthenticationMalformed { code: "client_authentication_malformed", status: 400, error: "invalid_request", class: Request,
            sentence: "The client's authentication can't be read.",
            cause: "The Authorization header is no Basic credential in the form of RFC 6749 section 2.3.1, or a parameter is malformed.",
            remedy: "Compare with the guide; the header is base64 of `id:secret`, each form-encoded." }
        ClientAuthenticationMultiple { code: "client_authentication_multiple", status: 400, error: "invalid_request", class: Request,
            sentence: "The client authenticated in more than one way. Use one.",
            cause: "Basic, client_secret and client_assertion: more than one was sent (RFC 6749 section 2.3).",
            remedy: "Set one method in the client's library." }
        ClientUnknown { code: "client_unknown", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is not known here, or its credential is wrong.",
            cause: "No client has this client_id.",
            remedy: "See `doorward client list`." }
        ClientSecretWrong { code: "client_secret_wrong", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is not known here, or its credential is wrong.",
            cause: "The client exists, and its secret is another.",
            remedy: "Make a new one: `doorward client rotate-secret`." }
        ClientDisabled { code: "client_disabled", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is not known here, or its credential is wrong.",
            cause: "The client is disabled.",
            remedy: "See `doorward client show`." }
        ClientMethodRefused { code: "client_method_refused", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is not known here, or its credential is wrong.",
            cause: "The client is registered for another way of authentication than it used, or for none where one is needed.",
            remedy: "Compare the authentication in `doorward client show` with the client's library; only confidential clients introspect." }
        ClientAssertionInvalid { code: "client_assertion_invalid", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is not known here, or its credential is wrong.",
            cause: "The assertion does not verify: signature, `iss`, `sub`, `aud`, `exp` or `jti` (RFC 7523 section 3).",
            remedy: "`aud` must be the issuer; for a library that sends the token endpoint, create the client with `--assertion-for-token-endpoint`. `exp` is at most 5 minutes ahead; compare the key with the client's registered `jwks`." }
        ClientAssertionReplayed { code: "client_assertion_replayed", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is not known here, or its credential is wrong.",
            cause: "The assertion's `jti` was used before.",
            remedy: "The client must sign a new assertion for each request. If it does, somebody replays." }
        ClientThrottled { code: "client_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many failed authentications. Wait, then try again.",
            cause: "More client authentications failed from this address than `throttle.client_failures_per_minute` permits.",
            remedy: "Find the misconfigured client; the audit names it." }
    } };
}
