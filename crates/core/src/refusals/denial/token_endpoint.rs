//! The token endpoint, introspection and revocation.

macro_rules! token_endpoint {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        ParameterMissing { code: "parameter_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "A required parameter is missing.",
            cause: "A required parameter is absent or empty.",
            remedy: "The facts name the parameter." }
        ParameterRepeated { code: "parameter_repeated", status: 400, error: "invalid_request", class: Request,
            sentence: "A parameter was sent more than once.",
            cause: "A parameter that may appear once appears twice (RFC 6749 section 3.1).",
            remedy: "The facts name the parameter." }
        ParameterInvalid { code: "parameter_invalid", status: 400, error: "invalid_request", class: Request,
            sentence: "A parameter has an invalid value.",
            cause: "A parameter's value is malformed or out of range.",
            remedy: "The facts name the parameter." }
        GrantTypeUnsupported { code: "grant_type_unsupported", status: 400, error: "unsupported_grant_type", class: Request,
            sentence: "This grant type is not supported.",
            cause: "The `grant_type` is not `authorization_code`, `client_credentials` or `refresh_token`.",
            remedy: "Compare it with `grant_types_supported` in the server's metadata." }
        GrantTypeNotAllowed { code: "grant_type_not_allowed", status: 400, error: "unauthorized_client", class: Permission,
            sentence: "This client may not use this grant type.",
            cause: "The client is not registered for this grant type.",
            remedy: "Register a client for it: see `doorward client create --help`." }
        CodeUnknown { code: "code_unknown", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "code_invalid", sentence: "The authorization code is not valid. Start over at the authorization endpoint.",
            cause: "No such code exists: it was mistyped, or was deleted after it expired.",
            remedy: "The client should start over." }
        CodeOfAnotherClient { code: "code_of_another_client", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "code_invalid", sentence: "The authorization code is not valid. Start over at the authorization endpoint.",
            cause: "The code was issued to another client.",
            remedy: "The code may have leaked, or two clients are mixed up: compare their redirect URIs." }
        CodeExpired { code: "code_expired", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The authorization code has expired. Start over at the authorization endpoint.",
            cause: "The code was redeemed after it expired.",
            remedy: "The client must redeem the code at once. If it does, compare the clocks of the machines." }
        CodeReplayed { code: "code_replayed", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The authorization code was already used. Its tokens have been revoked. Start over.",
            cause: "The code was redeemed again with a valid request, so its grant was ended (OAuth 2.1 section 4.1.3).",
            remedy: "If the client sends each code twice, fix the client. Otherwise the code leaked." }
        CodeRedirectUriMismatch { code: "code_redirect_uri_mismatch", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The redirect_uri differs from that of the authorization request.",
            cause: "The `redirect_uri` sent to /token differs from the one sent to /authorize.",
            remedy: "The client must send the same value to both, or omit it at /token." }
        CodeVerifierMismatch { code: "code_verifier_mismatch", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The code_verifier does not match the code_challenge.",
            cause: "The verifier's SHA-256 is not the challenge of the authorization request (RFC 7636 section 4.6).",
            remedy: "The client mixed up two requests, or someone else presented the code." }
        CodeVerifierUnexpected { code: "code_verifier_unexpected", status: 400, error: "invalid_grant", class: Credential,
            sentence: "A code_verifier was sent, but the authorization request had no code_challenge. Start over.",
            cause: "The client uses PKCE, but its `code_challenge` did not reach /authorize: someone removed it (RFC 9700 section 4.8.2).",
            remedy: "If the client sends a verifier without a challenge, fix it. Otherwise the authorization request was changed in transit." }
        RefreshTokenUnknown { code: "refresh_token_unknown", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "refresh_token_invalid", sentence: "The refresh token is not valid. The user must sign in again.",
            cause: "No such refresh token exists.",
            remedy: "The client should start over." }
        RefreshTokenOfAnotherClient { code: "refresh_token_of_another_client", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "refresh_token_invalid", sentence: "The refresh token is not valid. The user must sign in again.",
            cause: "The refresh token belongs to another client. Its family stays valid.",
            remedy: "The token may have leaked from its client. The audit log names both clients." }
        RefreshTokenExpired { code: "refresh_token_expired", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The refresh token has expired. The user must sign in again.",
            cause: "The token was unused for too long, or its family reached its maximum age.",
            remedy: "See `tokens.refresh_idle` and `tokens.refresh_absolute`." }
        RefreshTokenReused { code: "refresh_token_reused", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The refresh token and its successor were already used. The session has been ended. The user must sign in again.",
            cause: "The refresh token was used again after its successor, so the family was ended (RFC 9700 section 4.14.2).",
            remedy: "Compare the two addresses and times. Either the client kept an old token, or the token was stolen." }
        RefreshTokenGraceOver { code: "refresh_token_grace_over", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The refresh token was already used. Use its successor, or sign in again.",
            cause: "A public client repeated a refresh after the grace period, or too often from another address. The family stays valid.",
            remedy: "The client lost a response and retried too late. Confidential clients have no such limit." }
        GrantEnded { code: "grant_ended", status: 400, error: "invalid_grant", class: Credential,
            sentence: "Access was withdrawn. The user must sign in and allow it again.",
            cause: "The grant was ended by the user or an operator, by token reuse, by disabling or deleting the user, by removing all of its scopes from their API, or by restoring a backup.",
            remedy: "`doorward audit tail --about GRANT_ID` shows the grant's events. A restore is the event `backup.restored`." }
        UserUnavailable { code: "user_unavailable", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "grant_ended", sentence: "Access was withdrawn. The user must sign in and allow it again.",
            cause: "The user is disabled.",
            remedy: "See `doorward user show`." }
        ScopeInvalid { code: "scope_invalid", status: 400, error: "invalid_scope", class: Request,
            sentence: "No API has this scope.",
            cause: "No API has one of the requested scopes.",
            remedy: "Compare with `doorward api list`." }
        ScopeMalformed { code: "scope_malformed", status: 400, error: "invalid_scope", class: Request,
            sentence: "The scope is malformed. Send at most 64 scopes with single spaces between, each of at most 128 printable ASCII characters without quotes and backslashes.",
            cause: "The `scope` parameter does not match the grammar of RFC 6749 section 3.3, or is too long.",
            remedy: "The client must send scopes with single spaces between." }
        ScopeMissing { code: "scope_missing", status: 400, error: "invalid_scope", class: Request,
            sentence: "Request at least one scope.",
            cause: "The client requested no scope and has no default.",
            remedy: "The client must request a scope. Or register a client with a default: `doorward client create --default-scope`." }
        ScopeNotAllowed { code: "scope_not_allowed", status: 400, error: "invalid_scope", class: Permission,
            sentence: "The client may not have this scope.",
            cause: "The scope exists, but the client is not registered for it, or the grant can't include it.",
            remedy: "See `doorward client show`." }
        ScopeOfSeveralApis { code: "scope_of_several_apis", status: 400, error: "invalid_scope", class: Request,
            sentence: "A token is for one API, but the scopes belong to several.",
            cause: "One token was requested for the scopes of two APIs (RFC 9068 section 3).",
            remedy: "Have the client send `resource` and request a token for each API." }
        ScopeExceedsGrant { code: "scope_exceeds_grant", status: 400, error: "invalid_scope", class: Permission,
            sentence: "The scope was not granted.",
            cause: "A refresh requested scopes that were not requested at /authorize, or only scopes that the user did not allow (RFC 6749 section 6).",
            remedy: "The client must request the scope at /authorize." }
        ResourceUnknown { code: "resource_unknown", status: 400, error: "invalid_target", class: Request,
            sentence: "The resource is unknown.",
            cause: "The `resource` is not the identifier of an API, or is not an absolute URI (RFC 8707 section 2).",
            remedy: "Compare with `doorward api list`." }
        ResourceNotGranted { code: "resource_not_granted", status: 400, error: "invalid_target", class: Permission,
            sentence: "The resource was not granted.",
            cause: "The `resource` sent to /token is not one of those sent to /authorize.",
            remedy: "The client must send it to /authorize." }
        TokenOfAnotherClient { code: "token_of_another_client", status: 400, error: "invalid_request", class: Permission,
            sentence: "This client can't revoke the token.",
            cause: "The token belongs to another client. Nothing was revoked (RFC 7009 section 2.1).",
            remedy: "The audit log names both clients." }
    } };
}
