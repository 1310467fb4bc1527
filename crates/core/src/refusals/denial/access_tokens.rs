//! Access tokens (RFC 9068 section 4).

macro_rules! access_tokens {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        TokenMalformed { code: "token_malformed", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token can't be read.",
            cause: "The token is neither a JWT in compact form nor an opaque token of ours: cut, too large, or not base64url.",
            remedy: "Look at it with `doorward token decode`." }
        TokenTypeWrong { code: "token_type_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "This is not an access token.",
            cause: "The token's `typ` is not `at+jwt` (RFC 9068 section 4): often an id_token was sent.",
            remedy: "Let the client send the access_token of the token answer." }
        TokenHeaderRefused { code: "token_header_refused", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token can't be accepted.",
            cause: "The token's header has `crit`, `zip`, or another member that may not be ignored (RFC 7515 section 4.1.11).",
            remedy: "Find out who made the token; Doorward makes none like this." }
        TokenAlgorithmRefused { code: "token_algorithm_refused", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token can't be accepted.",
            cause: "The token's `alg` is not the one of the key that it names, or not on the list (RFC 8725 section 3.1).",
            remedy: "If the issuer's algorithm was changed, allow it at the guard. Otherwise somebody forges tokens." }
        TokenKeyUnknown { code: "token_key_unknown", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token can't be accepted.",
            cause: "The issuer publishes no key with the token's `kid`.",
            remedy: "Compare `doorward jwks show`; a token of another installation looks like this as well." }
        TokenSignatureWrong { code: "token_signature_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token can't be accepted.",
            cause: "The signature does not verify under the key that the token names.",
            remedy: "The token was altered or forged. Nothing to mend on this side." }
        TokenIssuerWrong { code: "token_issuer_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is from another issuer.",
            cause: "The token's `iss` is not the issuer that this API trusts.",
            remedy: "Set the guard's issuer to exactly the server's `issuer`." }
        TokenAudienceWrong { code: "token_audience_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is for another API.",
            cause: "The token's `aud` does not hold this API's identifier.",
            remedy: "Let the client ask for this API: by `resource`, or by its scopes." }
        TokenOfNoApi { code: "token_of_no_api", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is for no API: the app asked for none of this API's scopes, or the user did not allow them.",
            cause: "The token's `aud` is the issuer only: no scope of an API was granted with it.",
            remedy: "Let the client ask for this API's scopes, and the user leave them ticked on the consent page." }
        TokenExpired { code: "token_expired", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token has expired.",
            cause: "The token's `exp` has passed.",
            remedy: "The client should refresh; if it just did, compare the clocks of the machines." }
        TokenNotYetValid { code: "token_not_yet_valid", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid yet.",
            cause: "The token's `nbf` or `iat` lies ahead by more than the allowed skew.",
            remedy: "Compare the clocks of the machines." }
        TokenClaimsInvalid { code: "token_claims_invalid", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token can't be accepted.",
            cause: "A claim that RFC 9068 demands is missing or of the wrong kind.",
            remedy: "Look at it with `doorward token decode`." }
        TokenBindingUnproven { code: "token_binding_unproven", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is bound to a key, and the proof of it is missing.",
            cause: "The token has `cnf`, and this guard can't check the proof (RFC 9449 section 7.2).",
            remedy: "Use an unbound token here." }
        TokenUnknown { code: "token_unknown", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid: it expired, was revoked, or never was.",
            cause: "Introspection says that the opaque token is not active for this API.",
            remedy: "The client should refresh, or start over. `doorward audit tail` shows revocations." }
        TokenRevoked { code: "token_revoked", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token was revoked.",
            cause: "The token, its grant or its client was ended before its expiry, or a backup was restored.",
            remedy: "See `doorward audit tail --about GRANT_ID`, or the client's id, for when and by whom. A restore is an \
                     event of its own, `backup.restored`." }
    } };
}
