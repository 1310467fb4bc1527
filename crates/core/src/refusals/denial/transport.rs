//! What the transport refuses, and outages.

macro_rules! transport {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        BodyMalformed { code: "body_malformed", status: 400, error: "invalid_request", class: Request,
            sentence: "The request can't be read. Check its syntax, and the members of its body.",
            cause: "The body is not what its content type says: broken JSON or form, a name twice, nested too deeply, or not UTF-8.",
            remedy: "Nothing to mend here; the caller has to send a correct body." }
        BodyTooLarge { code: "body_too_large", status: 413, error: "invalid_request", class: Request,
            sentence: "The body is too large.",
            cause: "The body is larger than `limits.body_bytes`.",
            remedy: "If it is right, raise `limits.body_bytes`." }
        BodyTooSlow { code: "body_too_slow", status: 408, error: "invalid_request", class: Request,
            sentence: "The request took too long to arrive.",
            cause: "The body did not arrive within `limits.body_timeout`.",
            remedy: "Look at the caller's network, or raise `limits.body_timeout`." }
        HeadTooLarge { code: "head_too_large", status: 431, error: "invalid_request", class: Request,
            sentence: "The address and the headers of the request are too large.",
            cause: "The request's head is larger than `limits.header_bytes`, or has more headers than anybody needs.",
            remedy: "Find the header that grew, often a cookie. If it is right, raise `limits.header_bytes`." }
        ContentTypeUnsupported { code: "content_type_unsupported", status: 415, error: "invalid_request", class: Request,
            sentence: "This content type is not supported here.",
            cause: "The body's content type is not the one that the endpoint takes.",
            remedy: "OAuth endpoints take `application/x-www-form-urlencoded`, /v1 takes `application/json`." }
        MethodNotAllowed { code: "method_not_allowed", status: 405, error: "invalid_request", class: Request,
            sentence: "This method is not allowed here.",
            cause: "The path exists, but not with this method.",
            remedy: "Compare the request with the reference." }
        NotFound { code: "not_found", status: 404, error: "invalid_request", class: Request,
            sentence: "There is nothing at this address.",
            cause: "No route has this path.",
            remedy: "Compare the path with the reference." }
        Overloaded { code: "overloaded", status: 503, error: "temporarily_unavailable", class: Outage,
            sentence: "The server is busy. Try again in a moment.",
            cause: "A bound was reached: the queue for password hashes or for the store is full.",
            remedy: "See the load; raise `password.hash_queue` or add a machine." }
        Unavailable { code: "unavailable", status: 503, error: "temporarily_unavailable", class: Outage,
            sentence: "The server can't answer at the moment. Try again in a moment.",
            cause: "The store did not answer: the disk is full, or the database is away. Or a newer program migrated it, as the facts say.",
            remedy: "See the server's log. It recovers by itself when the store is back; a server older than its database must be replaced." }
        VerifierUnavailable { code: "verifier_unavailable", status: 503, error: "temporarily_unavailable", class: Outage,
            sentence: "The credential can't be checked at the moment. Try again in a moment.",
            cause: "The guard could not reach the authorization server, or was refused there.",
            remedy: "Check that the server runs, and the issuer and the API's credential in the guard." }
    } };
}
