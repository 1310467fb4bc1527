//! The authorization endpoint: sent to the client at its redirect URI.

macro_rules! authorization_redirect {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        ResponseTypeUnsupported { code: "response_type_unsupported", status: 400, error: "unsupported_response_type", class: Request,
            sentence: "Only response_type=code is supported.",
            cause: "The `response_type` is not `code`.",
            remedy: "Set the client to the code flow." }
        ResponseModeUnsupported { code: "response_mode_unsupported", status: 400, error: "invalid_request", class: Request,
            sentence: "This response_mode is not supported.",
            cause: "The `response_mode` is none of `query`, `fragment` and `form_post`.",
            remedy: "Remove it from the client's configuration." }
        PkceMissing { code: "pkce_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "PKCE is required: send code_challenge and code_challenge_method=S256.",
            cause: "No `code_challenge` came (RFC 7636 section 4.4.1).",
            remedy: "Turn PKCE on in the client's library. For a confidential client that has none: `doorward client create --profile oidc-basic`." }
        PkceChallengeMissing { code: "pkce_challenge_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "code_challenge_method was sent without code_challenge. Send both, or neither.",
            cause: "A client of the profile `oidc-basic` may leave out PKCE, but only all of it: a method without its challenge is what remains when somebody cuts the challenge out (RFC 9700 section 4.8.2).",
            remedy: "If the client sends the method alone, turn PKCE on or off in its library. Otherwise the request was changed on its way." }
        PkceMethodUnsupported { code: "pkce_method_unsupported", status: 400, error: "invalid_request", class: Request,
            sentence: "Only code_challenge_method=S256 is supported.",
            cause: "The `code_challenge_method` is missing or `plain` (RFC 7636 section 4.4.1).",
            remedy: "Set the client's library to S256." }
        RequestObjectUnsupported { code: "request_object_unsupported", status: 400, error: "request_not_supported", class: Request,
            sentence: "Request objects are not supported.",
            cause: "The `request` parameter was sent.",
            remedy: "Send plain parameters." }
        RequestUriUnsupported { code: "request_uri_unsupported", status: 400, error: "request_uri_not_supported", class: Request,
            sentence: "Request URIs are not supported.",
            cause: "The `request_uri` parameter was sent.",
            remedy: "Send plain parameters." }
        LoginRequired { code: "login_required", status: 400, error: "login_required", class: Credential,
            sentence: "The user has to sign in.",
            cause: "`prompt=none`, and there is no session that will do; or another user signed in than the `id_token_hint` names; or the key of the hint was removed, so that it names nobody.",
            remedy: "The client should ask again without prompt=none, or without the hint." }
        ConsentRequired { code: "consent_required", status: 400, error: "consent_required", class: Permission,
            sentence: "The user has to consent.",
            cause: "`prompt=none`, and the user has not allowed this, or has to be asked each time.",
            remedy: "The client should ask again without prompt=none." }
        AccessDenied { code: "access_denied", status: 400, error: "access_denied", class: Permission,
            sentence: "The user did not allow it.",
            cause: "The user chose not to allow it, or left nothing ticked.",
            remedy: "Nothing to mend." }
    } };
}
