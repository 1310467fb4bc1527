//! What the management API refuses.

macro_rules! management {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        BodyInvalid { code: "body_invalid", status: 422, error: "invalid_request", class: Request,
            sentence: "Members of the body can't be accepted, as `errors` says.",
            cause: "Members of the body are unknown, missing or wrong, or don't go together.",
            remedy: "No action needed. The answer names each mistake by a JSON pointer, and what would be accepted." }
        QueryInvalid { code: "query_invalid", status: 400, error: "invalid_request", class: Request,
            sentence: "The query can't be accepted: `errors` says where and why.",
            cause: "A query parameter is unknown or wrong, or a cursor was changed or belongs to another list.",
            remedy: "No action needed. The caller must follow `next` with the same filters." }
        IdUnknown { code: "id_unknown", status: 404, error: "invalid_request", class: Request,
            sentence: "There is nothing with this id.",
            cause: "Nothing has this id, or the caller's credential is limited to other APIs or owners.",
            remedy: "Look for it with the command line, which is not limited. `doorward key show` says what a key is limited to." }
        Conflict { code: "conflict", status: 409, error: "invalid_request", class: Request,
            sentence: "This conflicts with something that exists.",
            cause: "A name, an identifier or a scope is taken, or another request has just changed the same thing.",
            remedy: "No action needed. The caller must choose another value, or try again." }
        ConfirmationRequired { code: "confirmation_required", status: 409, error: "invalid_request", class: Request,
            sentence: "This ends what is in use: see `ends`. To do it, repeat the request with `?confirm=true`.",
            cause: "What is to be deleted or narrowed is in use.",
            remedy: "No action needed. The caller decides." }
        PreconditionFailed { code: "precondition_failed", status: 412, error: "invalid_request", class: Request,
            sentence: "It was changed since you read it. Read it again.",
            cause: "`If-Match` names another state than the present one.",
            remedy: "No action needed. The caller must read it again and repeat its change." }
        IdempotencyKeyInvalid { code: "idempotency_key_invalid", status: 400, error: "invalid_request", class: Request,
            sentence: "`Idempotency-Key` must be 16 to 255 visible ASCII characters, sent once.",
            cause: "The header is empty, too short, too long, repeated, or has other characters.",
            remedy: "No action needed. The caller must send a random key, such as a UUID." }
        IdempotencyKeyReused { code: "idempotency_key_reused", status: 422, error: "invalid_request", class: Request,
            sentence: "This `Idempotency-Key` was used for another request.",
            cause: "The same caller sent the same key with another method, path or body in the last 24 hours.",
            remedy: "No action needed. The caller must draw a new key for each new request." }
        LeakReportsThrottled { code: "leak_reports_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many keys were reported from here. Wait, then try again.",
            cause: "This network has reported more keys than `throttle.free_leak_reports_per_address`. The key was not noted.",
            remedy: "No action needed. The caller must wait as long as `Retry-After` says. If a scanner reports many keys, raise the limit." }
        PartnerSignatureInvalid { code: "partner_signature_invalid", status: 401, error: "", class: Credential,
            sentence: "GitHub's signature of this message is missing or wrong.",
            cause: "`Github-Public-Key-Signature` does not fit the body and the key of `Github-Public-Key-Identifier`, or `leaks.github_keys_url` is not set.",
            remedy: "If GitHub sent it, check that no proxy changes the body, and that this server reaches `leaks.github_keys_url`." }
        SelfRotationForbidden { code: "self_rotation_forbidden", status: 403, error: "", class: Permission,
            sentence: "This API key can't be rotated by its holder. Ask the operator of the API for a new one.",
            cause: "An API of the key has no `key_policy`, or one that says `\"self_rotation\": false`, or somebody reported the key as leaked.",
            remedy: "Rotate it: `doorward key rotate`. To let holders do so, give the API a policy: `doorward api update --key-policy`." }
        RightsExceeded { code: "rights_exceeded", status: 403, error: "", class: Permission,
            sentence: "You can't give, or change, rights that you don't have yourself.",
            cause: "The request would create or change something with management scopes, roles, limits, addresses or a lifetime beyond the caller's.",
            remedy: "Use a credential that has these rights, or the command line." }
    } };
}
