//! What the transport refuses, and outages.

macro_rules! transport {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        BodyMalformed { code: "body_malformed", status: 400, error: "invalid_request", class: Request,
            sentence: "The request is malformed. Check the syntax and the members of its body.",
            cause: "The body does not match its content type: broken JSON or form data, a repeated name, too much nesting, or not UTF-8.",
            remedy: "No action needed. The caller must send a valid body." }
        BodyTooLarge { code: "body_too_large", status: 413, error: "invalid_request", class: Request,
            sentence: "The request body is too large.",
            cause: "The body is larger than `limits.body_bytes`.",
            remedy: "If the body is legitimate, raise `limits.body_bytes`." }
        BodyTooSlow { code: "body_too_slow", status: 408, error: "invalid_request", class: Request,
            sentence: "The request took too long to arrive.",
            cause: "The body did not arrive within `limits.body_timeout`.",
            remedy: "Check the caller's network, or raise `limits.body_timeout`." }
        HeadTooLarge { code: "head_too_large", status: 431, error: "invalid_request", class: Request,
            sentence: "The URL and headers of the request are too large.",
            cause: "The request line and headers exceed `limits.header_bytes`, or there are too many headers.",
            remedy: "Find the header that grew, often a cookie. If it is legitimate, raise `limits.header_bytes`." }
        ContentTypeUnsupported { code: "content_type_unsupported", status: 415, error: "invalid_request", class: Request,
            sentence: "This content type is not supported here.",
            cause: "The endpoint does not accept the body's content type.",
            remedy: "OAuth endpoints accept `application/x-www-form-urlencoded`, /v1 accepts `application/json`." }
        MethodNotAllowed { code: "method_not_allowed", status: 405, error: "invalid_request", class: Request,
            sentence: "This method is not allowed here.",
            cause: "The path exists, but does not allow this method.",
            remedy: "Compare the request with the reference." }
        NotFound { code: "not_found", status: 404, error: "invalid_request", class: Request,
            sentence: "There is nothing at this address.",
            cause: "No route has this path.",
            remedy: "Compare the path with the reference." }
        Overloaded { code: "overloaded", status: 503, error: "temporarily_unavailable", class: Outage,
            sentence: "The server is busy. Try again in a moment.",
            cause: "A queue is full: the one for password hashes or the one for the store.",
            remedy: "Check the load. Raise `password.hash_queue`, or add a machine." }
        Unavailable { code: "unavailable", status: 503, error: "temporarily_unavailable", class: Outage,
            sentence: "The server is temporarily unavailable. Try again in a moment.",
            cause: "The store did not answer: the disk is full, or the database is unreachable. Or a newer version migrated it, as the facts say.",
            remedy: "Check the server's log. The server recovers when the store is back. Replace a server that is older than its database." }
        VerifierUnavailable { code: "verifier_unavailable", status: 503, error: "temporarily_unavailable", class: Outage,
            sentence: "The credential can't be checked at the moment. Try again in a moment.",
            cause: "The guard could not reach the authorization server, or the server refused the guard's request.",
            remedy: "Check that the server runs, and that the guard has the right issuer and API credential." }
    } };
}
