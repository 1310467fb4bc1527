//! Client authentication (RFC 6749 section 2.3).

macro_rules! client_authentication {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        ClientAuthenticationMissing { code: "client_authentication_missing", status: 401, error: "invalid_client", class: Credential,
            sentence: "The client did not authenticate. Send `client_id` and the client's credential.",
            cause: "The request has neither a `client_id` nor an Authorization header.",
            remedy: "Compare the client's configuration with `doorward client show`." }
        ClientAuthenticationMalformed { code: "client_authentication_malformed", status: 400, error: "invalid_request", class: Request,
            sentence: "The client authentication is malformed.",
            cause: "The Authorization header is not a Basic credential (RFC 6749 section 2.3.1), or a parameter is malformed.",
            remedy: "Compare the header with the guide: it is the base64 of `id:secret`, each form-encoded." }
        ClientAuthenticationMultiple { code: "client_authentication_multiple", status: 400, error: "invalid_request", class: Request,
            sentence: "The client used more than one authentication method. Use one.",
            cause: "The request has more than one of Basic, `client_secret` and `client_assertion` (RFC 6749 section 2.3).",
            remedy: "Configure one method in the client's library." }
        ClientUnknown { code: "client_unknown", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is unknown, or its credential is wrong.",
            cause: "No client has this `client_id`.",
            remedy: "See `doorward client list`." }
        ClientSecretWrong { code: "client_secret_wrong", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is unknown, or its credential is wrong.",
            cause: "The client exists, but its secret is wrong.",
            remedy: "Create a new secret: `doorward client rotate-secret`." }
        ClientDisabled { code: "client_disabled", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is unknown, or its credential is wrong.",
            cause: "The client is disabled.",
            remedy: "See `doorward client show`." }
        ClientMethodRefused { code: "client_method_refused", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is unknown, or its credential is wrong.",
            cause: "The client used a different authentication method than the registered one, or none where one is required.",
            remedy: "Compare `doorward client show` with the client's library. Only confidential clients may introspect." }
        ClientAssertionInvalid { code: "client_assertion_invalid", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is unknown, or its credential is wrong.",
            cause: "The assertion is not valid: its signature, `iss`, `sub`, `aud`, `exp` or `jti` (RFC 7523 section 3).",
            remedy: "Set `aud` to the issuer, or create the client with `--assertion-for-token-endpoint`. Set `exp` at most 5 minutes ahead. Compare the key with the client's registered `jwks`." }
        ClientAssertionReplayed { code: "client_assertion_replayed", status: 401, error: "invalid_client", class: Credential,
            shown_as: "client_authentication_failed", sentence: "The client is unknown, or its credential is wrong.",
            cause: "The assertion's `jti` was used before.",
            remedy: "The client must sign a new assertion for each request. If it does, someone is replaying an old one." }
        ClientThrottled { code: "client_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many failed authentications. Wait, then try again.",
            cause: "More client authentications failed from this address than `throttle.client_failures_per_minute` permits.",
            remedy: "Find the misconfigured client. The audit log names it." }
    } };
}
