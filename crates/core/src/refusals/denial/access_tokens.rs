//! Access tokens (RFC 9068 section 4).

macro_rules! access_tokens {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        TokenMalformed { code: "token_malformed", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is malformed.",
            cause: "The token is neither a compact JWT nor one of Doorward's opaque tokens: it is truncated, too long or not base64url.",
            remedy: "Inspect it with `doorward token decode`." }
        TokenTypeWrong { code: "token_type_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "This is not an access token.",
            cause: "The token's `typ` is not `at+jwt` (RFC 9068 section 4). Often the client sent an ID token.",
            remedy: "Have the client send the `access_token` of the token response." }
        TokenHeaderRefused { code: "token_header_refused", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid.",
            cause: "The token's header has `crit`, `zip` or another member that must not be ignored (RFC 7515 section 4.1.11).",
            remedy: "Find out who issued the token. Doorward issues no tokens with such a header." }
        TokenAlgorithmRefused { code: "token_algorithm_refused", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid.",
            cause: "The token's `alg` differs from that of the key it names, or is not allowed (RFC 8725 section 3.1).",
            remedy: "If the issuer changed its algorithm, allow the new one in the guard. Otherwise someone is forging tokens." }
        TokenKeyUnknown { code: "token_key_unknown", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid.",
            cause: "The issuer publishes no key with the token's `kid`.",
            remedy: "Compare the `kid` with `doorward jwks show`. The token may be from another installation." }
        TokenSignatureWrong { code: "token_signature_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid.",
            cause: "The signature does not verify with the key that the token names.",
            remedy: "No action needed. The token was altered or forged." }
        TokenIssuerWrong { code: "token_issuer_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is from another issuer.",
            cause: "The token's `iss` is not the issuer that this API trusts.",
            remedy: "Set the guard's issuer to the exact value of the server's `issuer`." }
        TokenAudienceWrong { code: "token_audience_wrong", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is for another API.",
            cause: "The token's `aud` does not contain this API's identifier.",
            remedy: "Have the client request this API with `resource`, or request its scopes." }
        TokenOfNoApi { code: "token_of_no_api", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not for an API: the app requested none of this API's scopes, or the user did not allow them.",
            cause: "The token's `aud` is only the issuer, because no scope of an API was granted.",
            remedy: "Have the client request this API's scopes. The user must leave them ticked on the consent page." }
        TokenExpired { code: "token_expired", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token has expired.",
            cause: "The token's `exp` has passed.",
            remedy: "The client should refresh the token. If it just did, compare the clocks of the machines." }
        TokenNotYetValid { code: "token_not_yet_valid", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid yet.",
            cause: "The token's `nbf` or `iat` is in the future by more than the allowed clock skew.",
            remedy: "Compare the clocks of the machines." }
        TokenClaimsInvalid { code: "token_claims_invalid", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid.",
            cause: "A claim that RFC 9068 requires is missing or has the wrong type.",
            remedy: "Inspect it with `doorward token decode`." }
        TokenBindingUnproven { code: "token_binding_unproven", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is bound to a key. This API accepts only unbound tokens.",
            cause: "The token has `cnf`, and the guard can't check a proof of possession (RFC 9449 section 7.2).",
            remedy: "Use an unbound token." }
        TokenUnknown { code: "token_unknown", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token is not valid: it has expired, was revoked or never existed.",
            cause: "Introspection reports that the opaque token is not active for this API.",
            remedy: "The client should refresh the token or start over. `doorward audit tail` shows revocations." }
        TokenRevoked { code: "token_revoked", status: 401, error: "invalid_token", class: Credential,
            sentence: "The access token has been revoked.",
            cause: "The token was revoked, its grant ended, its client disabled, its API deleted, or a backup restored.",
            remedy: "`doorward audit tail --about ID`, with the grant's or the client's id, shows when and by whom. A restore is the event \
                     `backup.restored`." }
    } };
}
