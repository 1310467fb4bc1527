//! The authorization endpoint: sent to the client at its redirect URI.

macro_rules! authorization_redirect {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        ResponseTypeUnsupported { code: "response_type_unsupported", status: 400, error: "unsupported_response_type", class: Request,
            sentence: "Only response_type=code is supported.",
            cause: "The `response_type` is not `code`.",
            remedy: "Configure the client for the code flow." }
        ResponseModeUnsupported { code: "response_mode_unsupported", status: 400, error: "invalid_request", class: Request,
            sentence: "This response_mode is not supported.",
            cause: "The `response_mode` is not `query`, `fragment` or `form_post`.",
            remedy: "Remove it from the client's configuration." }
        PkceMissing { code: "pkce_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "PKCE is required: send code_challenge and code_challenge_method=S256.",
            cause: "The request has no `code_challenge` (RFC 7636 section 4.4.1).",
            remedy: "Turn on PKCE in the client's library. For a confidential client without PKCE: `doorward client create --profile oidc-basic`." }
        PkceChallengeMissing { code: "pkce_challenge_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "code_challenge_method was sent without code_challenge. Send both, or neither.",
            cause: "A client of the profile `oidc-basic` may omit PKCE, but not half of it: a method without a challenge suggests that someone removed the challenge (RFC 9700 section 4.8.2).",
            remedy: "If the client sends only the method, turn PKCE on or off in its library. Otherwise the request was changed in transit." }
        PkceMethodUnsupported { code: "pkce_method_unsupported", status: 400, error: "invalid_request", class: Request,
            sentence: "Only code_challenge_method=S256 is supported.",
            cause: "The `code_challenge_method` is missing or `plain` (RFC 7636 section 4.4.1).",
            remedy: "Configure the client's library to use S256." }
        RequestObjectUnsupported { code: "request_object_unsupported", status: 400, error: "request_not_supported", class: Request,
            sentence: "Request objects are not supported.",
            cause: "The `request` parameter was sent.",
            remedy: "The client must send plain parameters." }
        RequestUriUnsupported { code: "request_uri_unsupported", status: 400, error: "request_uri_not_supported", class: Request,
            sentence: "Request URIs are not supported.",
            cause: "The `request_uri` parameter was sent.",
            remedy: "The client must send plain parameters." }
        LoginRequired { code: "login_required", status: 400, error: "login_required", class: Credential,
            sentence: "The user must sign in.",
            cause: "`prompt=none` was sent without a usable session, a different user signed in than `id_token_hint` names, or the hint's key was removed.",
            remedy: "The client should retry without `prompt=none`, or without the hint." }
        ConsentRequired { code: "consent_required", status: 400, error: "consent_required", class: Permission,
            sentence: "The user must consent.",
            cause: "`prompt=none` was sent, but the user has not allowed this or must be asked each time.",
            remedy: "The client should retry without `prompt=none`." }
        AccessDenied { code: "access_denied", status: 400, error: "access_denied", class: Permission,
            sentence: "The user denied access.",
            cause: "The user denied the request, or left nothing ticked.",
            remedy: "No action needed." }
    } };
}
