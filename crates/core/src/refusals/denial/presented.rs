//! Credentials presented to an API: there must be one, in a header, in a form that can be read.

macro_rules! presented {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        CredentialMissing { code: "credential_missing", status: 401, error: "", class: Credential,
            sentence: "This needs an API key or an access token. Send it as `X-API-Key: …` or `Authorization: Bearer …`.",
            cause: "The request carried no credential.",
            remedy: "Nothing to mend here; the caller has to send a key or a token in a header." }
        CredentialInQuery { code: "credential_in_query", status: 400, error: "invalid_request", class: Request,
            sentence: "A credential stood in the URL, where logs and histories keep it. Send it in a header, and replace it: it may have been recorded on the way.",
            cause: "A key or token was put into the query string. It was not looked at.",
            remedy: "Tell the caller to use a header, and to revoke the credential: proxies and histories may have kept the URL." }
        CredentialMalformed { code: "credential_malformed", status: 401, error: "invalid_token", class: Credential,
            sentence: "The credential can't be read. Send `Authorization: Bearer …` with one token, or `X-API-Key: …` with one key.",
            cause: "The header was there, but held no text of a form that is accepted.",
            remedy: "Compare the header that the caller sends with the guide; often the scheme is missing or doubled." }
        CredentialMultiple { code: "credential_multiple", status: 400, error: "invalid_request", class: Request,
            sentence: "More than one credential was sent. Send one.",
            cause: "Two credentials, or one header twice, came with the request (RFC 6750 section 2).",
            remedy: "Find the proxy or library that adds a second Authorization or X-API-Key header." }
    } };
}
