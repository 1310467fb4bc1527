//! The token endpoint, introspection and revocation.

macro_rules! token_endpoint {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        ParameterMissing { code: "parameter_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "A required parameter is missing.",
            cause: "A parameter that the request needs is absent or empty.",
            remedy: "See the facts for its name." }
        ParameterRepeated { code: "parameter_repeated", status: 400, error: "invalid_request", class: Request,
            sentence: "A parameter was sent more than once.",
            cause: "A parameter that may come once came twice (RFC 6749 section 3.1).",
            remedy: "See the facts for its name." }
        ParameterInvalid { code: "parameter_invalid", status: 400, error: "invalid_request", class: Request,
            sentence: "A parameter has a value that can't be used.",
            cause: "A parameter's value is outside its grammar or its bounds.",
            remedy: "See the facts for its name." }
        GrantTypeUnsupported { code: "grant_type_unsupported", status: 400, error: "unsupported_grant_type", class: Request,
            sentence: "This grant type is not supported.",
            cause: "The `grant_type` is none of authorization_code, client_credentials, refresh_token.",
            remedy: "Compare with the metadata's `grant_types_supported`." }
        GrantTypeNotAllowed { code: "grant_type_not_allowed", status: 400, error: "unauthorized_client", class: Permission,
            sentence: "This client may not use this grant type.",
            cause: "The client is not registered for this grant type.",
            remedy: "Register a client with it: see `doorward client create --help`." }
        CodeUnknown { code: "code_unknown", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "code_invalid", sentence: "The authorization code is not valid. Start over at the authorization endpoint.",
            cause: "No such code exists: it was mistyped, or swept after its time.",
            remedy: "The client should start over." }
        CodeOfAnotherClient { code: "code_of_another_client", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "code_invalid", sentence: "The authorization code is not valid. Start over at the authorization endpoint.",
            cause: "The code was given to another client.",
            remedy: "A code may have leaked, or two clients are mixed up: compare their redirect URIs." }
        CodeExpired { code: "code_expired", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The authorization code has expired. Start over at the authorization endpoint.",
            cause: "The code was presented after its time.",
            remedy: "The client should redeem at once; compare the clocks." }
        CodeReplayed { code: "code_replayed", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The authorization code was used already. What it gave has been revoked; start over.",
            cause: "The code was redeemed before, and a second valid request came: its grant was ended (OAuth 2.1 section 4.1.3).",
            remedy: "If the client sends each code twice, mend it. Otherwise the code leaked." }
        CodeRedirectUriMismatch { code: "code_redirect_uri_mismatch", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The redirect_uri is not the one of the authorization request.",
            cause: "The `redirect_uri` sent to /token is another than the one sent to /authorize.",
            remedy: "The client must send the same text twice, or leave it out at /token." }
        CodeVerifierMismatch { code: "code_verifier_mismatch", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The code_verifier does not fit the code_challenge.",
            cause: "The verifier's SHA-256 is not the challenge of the authorization request (RFC 7636 section 4.6).",
            remedy: "The client mixes up two requests, or someone else presents the code." }
        CodeVerifierUnexpected { code: "code_verifier_unexpected", status: 400, error: "invalid_grant", class: Credential,
            sentence: "A code_verifier came, but the authorization request had no code_challenge. Start over.",
            cause: "The client uses PKCE, and its `code_challenge` did not reach /authorize: somebody cut it out (RFC 9700 section 4.8.2).",
            remedy: "If the client sends a verifier without a challenge, fix it. Otherwise the authorization request was changed on its way." }
        RefreshTokenUnknown { code: "refresh_token_unknown", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "refresh_token_invalid", sentence: "The refresh token is not valid. The user has to sign in again.",
            cause: "No such refresh token exists.",
            remedy: "The client should start over." }
        RefreshTokenOfAnotherClient { code: "refresh_token_of_another_client", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "refresh_token_invalid", sentence: "The refresh token is not valid. The user has to sign in again.",
            cause: "The refresh token belongs to another client. The family lives.",
            remedy: "A token may have leaked from its client; the audit names both." }
        RefreshTokenExpired { code: "refresh_token_expired", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The refresh token has expired. The user has to sign in again.",
            cause: "The token was idle too long, or its family reached its greatest age.",
            remedy: "See `tokens.refresh_idle` and `tokens.refresh_absolute`." }
        RefreshTokenReused { code: "refresh_token_reused", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The refresh token was used already, and so was its successor. The session was ended; the user has to sign in again.",
            cause: "A refresh token came again after its successor was used: the family was ended (RFC 9700 section 4.14.2).",
            remedy: "Compare the two addresses and times: either the client kept an old token, or it was stolen." }
        RefreshTokenGraceOver { code: "refresh_token_grace_over", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The refresh token was used already. Use its successor, or sign in again.",
            cause: "An unbound client repeated a refresh after the grace, or too often from another address. The family lives.",
            remedy: "The client lost an answer and came back late; a confidential client has no such limit." }
        GrantEnded { code: "grant_ended", status: 400, error: "invalid_grant", class: Credential,
            sentence: "The access was withdrawn. The user has to sign in and allow it again.",
            cause: "The grant was ended: by the user, by reuse, by the end of the user's account, by an operator, or by a \
                    restore of a backup.",
            remedy: "See the grant's events: `doorward audit tail --about GRANT_ID`. A restore is an event of its own, \
                     `backup.restored`." }
        UserUnavailable { code: "user_unavailable", status: 400, error: "invalid_grant", class: Credential,
            shown_as: "grant_ended", sentence: "The access was withdrawn. The user has to sign in and allow it again.",
            cause: "The user is disabled.",
            remedy: "See `doorward user show`." }
        ScopeInvalid { code: "scope_invalid", status: 400, error: "invalid_scope", class: Request,
            sentence: "No API here has the scope.",
            cause: "A requested scope belongs to no API.",
            remedy: "Compare with `doorward api list`." }
        ScopeMalformed { code: "scope_malformed", status: 400, error: "invalid_scope", class: Request,
            sentence: "The scope can't be read. Send scopes with single spaces between, each of at most 128 printable ASCII characters without quote and backslash, and at most 64 of them.",
            cause: "The `scope` parameter is outside the grammar of RFC 6749 section 3.3, or too long.",
            remedy: "The client must send a list of scopes with spaces between." }
        ScopeMissing { code: "scope_missing", status: 400, error: "invalid_scope", class: Request,
            sentence: "Say which scope is wanted.",
            cause: "No scope was asked, and the client has no default.",
            remedy: "The client has to ask for one, or register a client with a default: `doorward client create --default-scope`." }
        ScopeNotAllowed { code: "scope_not_allowed", status: 400, error: "invalid_scope", class: Permission,
            sentence: "The client may not have this scope.",
            cause: "The scope exists, but the client is not registered for it, or this grant can't carry it.",
            remedy: "See `doorward client show`." }
        ScopeOfSeveralApis { code: "scope_of_several_apis", status: 400, error: "invalid_scope", class: Request,
            sentence: "The scopes belong to several APIs. A token is for one; ask for each in its own request.",
            cause: "Scopes of two APIs were asked for one token (RFC 9068 section 3).",
            remedy: "Let the client name a `resource`, and ask once for each API." }
        ScopeExceedsGrant { code: "scope_exceeds_grant", status: 400, error: "invalid_scope", class: Permission,
            sentence: "The scope was not granted.",
            cause: "A refresh asked for a scope that was not asked for at /authorize, or only for such as the user did not allow (RFC 6749 section 6).",
            remedy: "The client has to ask at /authorize." }
        ResourceUnknown { code: "resource_unknown", status: 400, error: "invalid_target", class: Request,
            sentence: "The resource is not known here.",
            cause: "The `resource` names no API, or is no absolute URI (RFC 8707 section 2).",
            remedy: "Compare with `doorward api list`." }
        ResourceNotGranted { code: "resource_not_granted", status: 400, error: "invalid_target", class: Permission,
            sentence: "The resource was not granted.",
            cause: "The `resource` at /token is none of those of the authorization request.",
            remedy: "The client has to name it at /authorize." }
        TokenOfAnotherClient { code: "token_of_another_client", status: 400, error: "invalid_request", class: Permission,
            sentence: "The token can't be revoked by this client.",
            cause: "The token belongs to another client; nothing was revoked (RFC 7009 section 2.1).",
            remedy: "The audit names both clients." }
    } };
}
