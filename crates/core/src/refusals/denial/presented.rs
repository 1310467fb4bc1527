//! Credentials presented to an API: there must be one, in a header, in a form that can be read.

macro_rules! presented {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        CredentialMissing { code: "credential_missing", status: 401, error: "", class: Credential,
            sentence: "Authentication is required. Send an API key as `X-API-Key: …` or an access token as `Authorization: Bearer …`.",
            cause: "The request has no credential.",
            remedy: "No action needed. The caller must send a key or a token in a header." }
        CredentialInQuery { code: "credential_in_query", status: 400, error: "invalid_request", class: Request,
            sentence: "The URL contains a credential. URLs end up in logs and browser history. Rotate the credential, and send it in a header.",
            cause: "The query string contains a key or a token. It was not checked.",
            remedy: "Have the caller rotate the credential and send it in a header. Logs and browser history may contain the URL." }
        LegacyRateLimited { code: "legacy_rate_limited", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many requests with the credential in the URL. Send it in a header: there this limit does not apply.",
            cause: "All callers of the route together sent more requests with a credential in the URL than the route allows in a minute.",
            remedy: "`doorward legacy report` shows which keys still come that way. Have their holders send them in a header." }
        CredentialMalformed { code: "credential_malformed", status: 401, error: "invalid_token", class: Credential,
            sentence: "The credential is malformed. Send `Authorization: Bearer …` with one token, or `X-API-Key: …` with one key.",
            cause: "The header is present, but its value is not in an accepted format.",
            remedy: "Compare the caller's header with the guide. Often the scheme is missing or repeated." }
        CredentialMultiple { code: "credential_multiple", status: 400, error: "invalid_request", class: Request,
            sentence: "The request has more than one credential. Send one.",
            cause: "The request has two credentials, or repeats a header (RFC 6750 section 2).",
            remedy: "Find the proxy or library that adds a second Authorization or X-API-Key header." }
    } };
}
