//! The closed list of reasons for a no.
//!
//! Each reason stands here once, with everything that follows from it: the status, the OAuth error code, the code and
//! the sentence for the caller, and for the operator the cause and the remedy. Handlers, pages, audit, `explain` and
//! the documentation read this list; none of them words a refusal itself.
//!
//! Several reasons may show the caller one code: whoever has not proved that he holds a credential must not learn
//! whether it exists (RFC 6749 section 5.2, OWASP ASVS V6.3.8).

use std::{borrow::Cow, fmt};

/// Everything that follows from a reason.
#[derive(Clone, Copy, Debug)]
struct Entry {
    code: &'static str,
    status: u16,
    error: &'static str,
    shown_as: &'static str,
    sentence: &'static str,
    cause: &'static str,
    remedy: &'static str,
}

macro_rules! denials {
    ($($variant:ident = $code:literal, $status:literal, $error:literal $(, as $shown_as:literal)? ;
       $sentence:literal; $cause:literal; $remedy:literal;)*) => {
        /// A reason for a no. New reasons may be added; a reason's code never changes.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Denial {
            $(#[doc = $cause] $variant,)*
        }

        impl Denial {
            /// Every reason there is, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        code: $code,
                        status: $status,
                        error: $error,
                        shown_as: {
                            const CODES: &[&str] = &[$code $(, $shown_as)?];
                            CODES[CODES.len() - 1]
                        },
                        sentence: $sentence,
                        cause: $cause,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

impl Denial {
    /// The operator's code: stands in the audit and in `explain`.
    pub const fn code(self) -> &'static str {
        self.entry().code
    }

    /// The caller's code: stands in answers.
    pub const fn shown_as(self) -> &'static str {
        self.entry().shown_as
    }

    /// The status of the answer (RFC 9110 section 15).
    pub const fn status(self) -> u16 {
        self.entry().status
    }

    /// The `error` that OAuth has for it: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 8707 section 2,
    /// OpenID Connect Core section 3.1.2.6.
    pub const fn error(self) -> &'static str {
        self.entry().error
    }

    /// What the caller is told: what happened and what to do, without a secret and without telling what exists.
    pub const fn sentence(self) -> &'static str {
        self.entry().sentence
    }

    /// The sentence with the name of the parameter that it is about, if it is about one. A name that callers made up, and
    /// that could mean something where it is shown, is not repeated.
    pub fn sentence_about(self, parameter: Option<&str>) -> Cow<'static, str> {
        let is_plain = |name: &&str| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        match parameter.filter(is_plain) {
            Some(name) => format!("{}: {name}.", self.sentence().trim_end_matches('.')).into(),
            None => self.sentence().into(),
        }
    }

    /// What the operator is told: the true cause.
    pub const fn cause(self) -> &'static str {
        self.entry().cause
    }

    /// What the operator can do about it.
    pub const fn remedy(self) -> &'static str {
        self.entry().remedy
    }

    /// The reason with this operator's code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|denial| denial.code() == code)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

denials! {
    // Credentials presented to an API.
    CredentialMissing = "credential_missing", 401, "";
        "This needs an API key or an access token. Send it as `X-API-Key: …` or `Authorization: Bearer …`.";
        "The request carried no credential.";
        "Nothing to mend here; the caller has to send a key or a token in a header.";
    CredentialInQuery = "credential_in_query", 400, "invalid_request";
        "A credential stood in the URL, where logs and histories keep it. Send it in a header, and replace it: it may have been recorded on the way.";
        "A key or token was put into the query string. It was not looked at.";
        "Tell the caller to use a header, and to revoke the credential: proxies and histories may have kept the URL.";
    CredentialMalformed = "credential_malformed", 401, "invalid_token";
        "The credential can't be read. Send `Authorization: Bearer …` with one token, or `X-API-Key: …` with one key.";
        "The header was there, but held no text of a form that is accepted.";
        "Compare the header that the caller sends with the guide; often the scheme is missing or doubled.";
    CredentialMultiple = "credential_multiple", 400, "invalid_request";
        "More than one credential was sent. Send one.";
        "Two credentials, or one header twice, came with the request (RFC 6750 section 2).";
        "Find the proxy or library that adds a second Authorization or X-API-Key header.";

    // API keys.
    KeyMistyped = "key_mistyped", 401, "invalid_token", as "key_unknown";
        "This API key is not known here.";
        "The text has the form of a key, but its checksum does not hold: it was mistyped, cut or invented. No look-up was made.";
        "Let the caller copy the key again, whole.";
    KeyUnknown = "key_unknown", 401, "invalid_token";
        "This API key is not known here.";
        "No key with this digest exists. It may be of another installation, or its pepper's master key is missing.";
        "See `doorward key list`; if many keys are unknown at once, check that the master key file is the right one.";
    KeyOfAnotherApi = "key_of_another_api", 401, "invalid_token", as "key_unknown";
        "This API key is not known here.";
        "The key exists, but does not name this API.";
        "Make a key for this API: `doorward key create --api NAME`.";
    KeyExpired = "key_expired", 401, "invalid_token";
        "This API key has expired. Ask for a new one.";
        "The key's expiry has passed.";
        "Make a successor: `doorward key create`.";
    KeyRevoked = "key_revoked", 401, "invalid_token";
        "This API key was revoked. Ask for a new one.";
        "The key was revoked.";
        "See `doorward key show` for when, and `doorward audit tail` for by whom.";
    KeyOwnerDisabled = "key_owner_disabled", 401, "invalid_token";
        "This API key can't be used at present.";
        "The user or client that owns the key is disabled.";
        "Enable the owner, or make a key for another one.";

    // Access tokens.
    TokenMalformed = "token_malformed", 401, "invalid_token";
        "The access token can't be read.";
        "The token is neither a JWT in compact form nor an opaque token of ours: cut, too large, or not base64url.";
        "Look at it with `doorward token decode`.";
    TokenTypeWrong = "token_type_wrong", 401, "invalid_token";
        "This is not an access token.";
        "The token's `typ` is not `at+jwt` (RFC 9068 section 4): often an id_token was sent.";
        "Let the client send the access_token of the token answer.";
    TokenHeaderRefused = "token_header_refused", 401, "invalid_token";
        "The access token can't be accepted.";
        "The token's header has `crit`, `zip`, or another member that may not be ignored (RFC 7515 section 4.1.11).";
        "Find out who made the token; Doorward makes none like this.";
    TokenAlgorithmRefused = "token_algorithm_refused", 401, "invalid_token";
        "The access token can't be accepted.";
        "The token's `alg` is not the one of the key that it names, or not on the list (RFC 8725 section 3.1).";
        "If the issuer's algorithm was changed, allow it at the guard. Otherwise somebody forges tokens.";
    TokenKeyUnknown = "token_key_unknown", 401, "invalid_token";
        "The access token can't be accepted.";
        "The issuer publishes no key with the token's `kid`.";
        "Compare `doorward jwks show`; a token of another installation looks like this as well.";
    TokenSignatureWrong = "token_signature_wrong", 401, "invalid_token";
        "The access token can't be accepted.";
        "The signature does not verify under the key that the token names.";
        "The token was altered or forged. Nothing to mend on this side.";
    TokenIssuerWrong = "token_issuer_wrong", 401, "invalid_token";
        "The access token is from another issuer.";
        "The token's `iss` is not the issuer that this API trusts.";
        "Compare the guard's issuer with the server's `issuer`, to the letter.";
    TokenAudienceWrong = "token_audience_wrong", 401, "invalid_token";
        "The access token is for another API.";
        "The token's `aud` does not hold this API's identifier.";
        "Let the client ask for this API: by `resource`, or by its scopes.";
    TokenExpired = "token_expired", 401, "invalid_token";
        "The access token has expired.";
        "The token's `exp` has passed.";
        "The client should refresh; if it just did, compare the clocks of the machines.";
    TokenNotYetValid = "token_not_yet_valid", 401, "invalid_token";
        "The access token is not valid yet.";
        "The token's `nbf` or `iat` lies ahead by more than the allowed skew.";
        "Compare the clocks of the machines.";
    TokenClaimsInvalid = "token_claims_invalid", 401, "invalid_token";
        "The access token can't be accepted.";
        "A claim that RFC 9068 demands is missing or of the wrong kind.";
        "Look at it with `doorward token decode`.";
    TokenBindingUnproven = "token_binding_unproven", 401, "invalid_token";
        "The access token is bound to a key, and the proof of it is missing.";
        "The token has `cnf`, and this guard can't check the proof (RFC 9449 section 7.2).";
        "Use an unbound token here.";
    TokenUnknown = "token_unknown", 401, "invalid_token";
        "The access token is not valid: it expired, was revoked, or never was.";
        "Introspection says that the opaque token is not active for this API.";
        "The client should refresh, or start over. `doorward audit tail` shows revocations.";
    TokenRevoked = "token_revoked", 401, "invalid_token";
        "The access token was revoked.";
        "The token, its grant or its client was ended before its expiry.";
        "See `doorward audit tail` for when and by whom.";

    // Decisions.
    InsufficientScope = "insufficient_scope", 403, "insufficient_scope";
        "The credential is valid, but does not have the scope that this needs.";
        "A scope that the route demands is missing in the credential.";
        "Make a key with the scope, or let the client ask for it.";
    InsufficientPermission = "insufficient_permission", 403, "";
        "You are known, but not permitted to do this.";
        "A role or policy that the route demands is not met.";
        "If this is right for the principal: `doorward role grant`.";

    // What the transport refuses.
    BodyMalformed = "body_malformed", 400, "invalid_request";
        "The request can't be read. Check its syntax, and the members of its body.";
        "The body is not what its content type says: broken JSON or form, a name twice, nested too deeply, or not UTF-8.";
        "Nothing to mend here; the caller has to send a correct body.";
    BodyTooLarge = "body_too_large", 413, "invalid_request";
        "The body is too large.";
        "The body is larger than `limits.body_bytes`.";
        "If it is right, raise `limits.body_bytes`.";
    BodyTooSlow = "body_too_slow", 408, "invalid_request";
        "The request took too long to arrive.";
        "The body did not arrive within `limits.body_timeout`.";
        "Look at the caller's network, or raise `limits.body_timeout`.";
    HeadTooLarge = "head_too_large", 431, "invalid_request";
        "The address and the headers of the request are too large.";
        "The request's head is larger than `limits.header_bytes`, or has more headers than anybody needs.";
        "Find the header that grew, often a cookie. If it is right, raise `limits.header_bytes`.";
    ContentTypeUnsupported = "content_type_unsupported", 415, "invalid_request";
        "This content type is not supported here.";
        "The body's content type is not the one that the endpoint takes.";
        "OAuth endpoints take `application/x-www-form-urlencoded`, /v1 takes `application/json`.";
    MethodNotAllowed = "method_not_allowed", 405, "invalid_request";
        "This method is not allowed here.";
        "The path exists, but not with this method.";
        "Compare the request with the reference.";
    NotFound = "not_found", 404, "invalid_request";
        "There is nothing at this address.";
        "No route has this path.";
        "Compare the path with the reference.";
    Overloaded = "overloaded", 503, "temporarily_unavailable";
        "The server is busy. Try again in a moment.";
        "A bound was reached: the queue for password hashes or for the store is full.";
        "See the load; raise `password.hash_queue` or add a machine.";
    Unavailable = "unavailable", 503, "temporarily_unavailable";
        "The server can't answer at the moment. Try again in a moment.";
        "The store did not answer: the disk is full, or the database is away. Or a newer program migrated it, as the facts say.";
        "See the server's log. It recovers by itself when the store is back; a server older than its database must be replaced.";
    VerifierUnavailable = "verifier_unavailable", 503, "temporarily_unavailable";
        "The credential can't be checked at the moment. Try again in a moment.";
        "The guard could not reach the authorization server, or was refused there.";
        "Check that the server runs, and the issuer and the API's credential in the guard.";

    // Client authentication.
    ClientAuthenticationMissing = "client_authentication_missing", 401, "invalid_client";
        "The client did not authenticate. Send `client_id` and the client's credential.";
        "No client_id and no Authorization header came with the request.";
        "Compare the client's configuration with `doorward client show`.";
    ClientAuthenticationMalformed = "client_authentication_malformed", 400, "invalid_request";
        "The client's authentication can't be read.";
        "The Authorization header is no Basic credential in the form of RFC 6749 section 2.3.1, or a parameter is malformed.";
        "Compare with the guide; the header is base64 of `id:secret`, each form-encoded.";
    ClientAuthenticationMultiple = "client_authentication_multiple", 400, "invalid_request";
        "The client authenticated in more than one way. Use one.";
        "Basic, client_secret and client_assertion: more than one was sent (RFC 6749 section 2.3).";
        "Set one method in the client's library.";
    ClientUnknown = "client_unknown", 401, "invalid_client", as "client_authentication_failed";
        "The client is not known here, or its credential is wrong.";
        "No client has this client_id.";
        "See `doorward client list`.";
    ClientSecretWrong = "client_secret_wrong", 401, "invalid_client", as "client_authentication_failed";
        "The client is not known here, or its credential is wrong.";
        "The client exists, and its secret is another.";
        "Make a new one: `doorward client rotate-secret`.";
    ClientDisabled = "client_disabled", 401, "invalid_client", as "client_authentication_failed";
        "The client is not known here, or its credential is wrong.";
        "The client is disabled.";
        "See `doorward client show`.";
    ClientMethodRefused = "client_method_refused", 401, "invalid_client", as "client_authentication_failed";
        "The client is not known here, or its credential is wrong.";
        "The client is registered for another way of authentication than it used, or for none where one is needed.";
        "Compare the authentication in `doorward client show` with the client's library; only confidential clients introspect.";
    ClientAssertionInvalid = "client_assertion_invalid", 401, "invalid_client", as "client_authentication_failed";
        "The client is not known here, or its credential is wrong.";
        "The assertion does not verify: signature, `iss`, `sub`, `aud`, `exp` or `jti` (RFC 7523 section 3).";
        "`aud` must be the issuer, `exp` at most 5 minutes ahead; compare the key with the client's registered `jwks`.";
    ClientAssertionReplayed = "client_assertion_replayed", 401, "invalid_client", as "client_authentication_failed";
        "The client is not known here, or its credential is wrong.";
        "The assertion's `jti` was used before.";
        "The client must sign a new assertion for each request. If it does, somebody replays.";
    ClientThrottled = "client_throttled", 429, "temporarily_unavailable";
        "Too many failed authentications. Wait, then try again.";
        "More client authentications failed from this address than `throttle.client_failures_per_minute` permits.";
        "Find the misconfigured client; the audit names it.";

    // The token endpoint, introspection and revocation.
    ParameterMissing = "parameter_missing", 400, "invalid_request";
        "A required parameter is missing.";
        "A parameter that the request needs is absent or empty.";
        "See the facts for its name.";
    ParameterRepeated = "parameter_repeated", 400, "invalid_request";
        "A parameter was sent more than once.";
        "A parameter that may come once came twice (RFC 6749 section 3.1).";
        "See the facts for its name.";
    ParameterInvalid = "parameter_invalid", 400, "invalid_request";
        "A parameter has a value that can't be used.";
        "A parameter's value is outside its grammar or its bounds.";
        "See the facts for its name.";
    GrantTypeUnsupported = "grant_type_unsupported", 400, "unsupported_grant_type";
        "This grant type is not supported.";
        "The `grant_type` is none of authorization_code, client_credentials, refresh_token.";
        "Compare with the metadata's `grant_types_supported`.";
    GrantTypeNotAllowed = "grant_type_not_allowed", 400, "unauthorized_client";
        "This client may not use this grant type.";
        "The client is not registered for this grant type.";
        "Register a client with it: see `doorward client create --help`.";
    CodeUnknown = "code_unknown", 400, "invalid_grant", as "code_invalid";
        "The authorization code is not valid. Start over at the authorization endpoint.";
        "No such code exists: it was mistyped, or swept after its time.";
        "The client should start over.";
    CodeOfAnotherClient = "code_of_another_client", 400, "invalid_grant", as "code_invalid";
        "The authorization code is not valid. Start over at the authorization endpoint.";
        "The code was given to another client.";
        "A code may have leaked, or two clients are mixed up: compare their redirect URIs.";
    CodeExpired = "code_expired", 400, "invalid_grant";
        "The authorization code has expired. Start over at the authorization endpoint.";
        "The code was presented after its time.";
        "The client should redeem at once; compare the clocks.";
    CodeReplayed = "code_replayed", 400, "invalid_grant";
        "The authorization code was used already. What it gave has been revoked; start over.";
        "The code was redeemed before, and a second valid request came: its grant was ended (OAuth 2.1 section 4.1.3).";
        "If the client sends each code twice, mend it. Otherwise the code leaked.";
    CodeRedirectUriMismatch = "code_redirect_uri_mismatch", 400, "invalid_grant";
        "The redirect_uri is not the one of the authorization request.";
        "The `redirect_uri` sent to /token is another than the one sent to /authorize.";
        "The client must send the same text twice, or leave it out at /token.";
    CodeVerifierMismatch = "code_verifier_mismatch", 400, "invalid_grant";
        "The code_verifier does not fit the code_challenge.";
        "The verifier's SHA-256 is not the challenge of the authorization request (RFC 7636 section 4.6).";
        "The client mixes up two requests, or someone else presents the code.";
    RefreshTokenUnknown = "refresh_token_unknown", 400, "invalid_grant", as "refresh_token_invalid";
        "The refresh token is not valid. The user has to sign in again.";
        "No such refresh token exists.";
        "The client should start over.";
    RefreshTokenOfAnotherClient = "refresh_token_of_another_client", 400, "invalid_grant", as "refresh_token_invalid";
        "The refresh token is not valid. The user has to sign in again.";
        "The refresh token belongs to another client. The family lives.";
        "A token may have leaked from its client; the audit names both.";
    RefreshTokenExpired = "refresh_token_expired", 400, "invalid_grant";
        "The refresh token has expired. The user has to sign in again.";
        "The token was idle too long, or its family reached its greatest age.";
        "See `tokens.refresh_idle` and `tokens.refresh_absolute`.";
    RefreshTokenReused = "refresh_token_reused", 400, "invalid_grant";
        "The refresh token was used already, and so was its successor. The session was ended; the user has to sign in again.";
        "A refresh token came again after its successor was used: the family was ended (RFC 9700 section 4.14.2).";
        "Compare the two addresses and times: either the client kept an old token, or it was stolen.";
    RefreshTokenGraceOver = "refresh_token_grace_over", 400, "invalid_grant";
        "The refresh token was used already. Use its successor, or sign in again.";
        "An unbound client repeated a refresh after the grace, or too often from another address. The family lives.";
        "The client lost an answer and came back late; a confidential client has no such limit.";
    GrantEnded = "grant_ended", 400, "invalid_grant";
        "The access was withdrawn. The user has to sign in and allow it again.";
        "The grant was ended: by the user, by reuse, by the end of the user's account, or by an operator.";
        "See the grant's events in `doorward audit tail`.";
    UserUnavailable = "user_unavailable", 400, "invalid_grant", as "grant_ended";
        "The access was withdrawn. The user has to sign in and allow it again.";
        "The user is disabled.";
        "See `doorward user show`.";
    ScopeInvalid = "scope_invalid", 400, "invalid_scope";
        "The scope can't be used: unknown here, or outside the grammar.";
        "A requested scope belongs to no API, or the list is malformed.";
        "Compare with `doorward api list`.";
    ScopeMissing = "scope_missing", 400, "invalid_scope";
        "Say which scope is wanted.";
        "No scope was asked, and the client has no default.";
        "The client has to ask for one, or register a client with a default: `doorward client create --default-scope`.";
    ScopeNotAllowed = "scope_not_allowed", 400, "invalid_scope";
        "The client may not have this scope.";
        "The scope exists, but the client is not registered for it, or this grant can't carry it.";
        "See `doorward client show`.";
    ScopeOfSeveralApis = "scope_of_several_apis", 400, "invalid_scope";
        "The scopes belong to several APIs. A token is for one; ask for each in its own request.";
        "Scopes of two APIs were asked for one token (RFC 9068 section 3).";
        "Let the client name a `resource`, and ask once for each API.";
    ScopeExceedsGrant = "scope_exceeds_grant", 400, "invalid_scope";
        "The scope was not granted.";
        "A refresh asked for a scope that the grant does not have (RFC 6749 section 6).";
        "The client has to ask at /authorize.";
    ResourceUnknown = "resource_unknown", 400, "invalid_target";
        "The resource is not known here.";
        "The `resource` names no API, or is no absolute URI (RFC 8707 section 2).";
        "Compare with `doorward api list`.";
    ResourceNotGranted = "resource_not_granted", 400, "invalid_target";
        "The resource was not granted.";
        "The `resource` at /token is none of those of the authorization request.";
        "The client has to name it at /authorize.";
    TokenOfAnotherClient = "token_of_another_client", 400, "invalid_request";
        "The token can't be revoked by this client.";
        "The token belongs to another client; nothing was revoked (RFC 7009 section 2.1).";
        "The audit names both clients.";

    // The authorization endpoint: shown on a page.
    AuthorizeClientUnknown = "authorize_client_unknown", 400, "invalid_request";
        "The app that sent you here is not known.";
        "The `client_id` is missing, unknown, or its client is disabled or may not use the code flow.";
        "See `doorward client list`.";
    AuthorizeThrottled = "authorize_throttled", 429, "temporarily_unavailable";
        "Too many sign-ins were begun here and not finished. Wait a minute, then try again.";
        "As many authorization requests of this network wait for an answer as `limits.open_requests_per_network` permits.";
        "Many people behind one address: raise the limit. Otherwise a program asks in a loop: the audit has its address.";
    RedirectUriMissing = "redirect_uri_missing", 400, "invalid_request";
        "The app that sent you here did not say where to return.";
        "`redirect_uri` is missing or empty.";
        "The client has to send it, always.";
    RedirectUriNotRegistered = "redirect_uri_not_registered", 400, "invalid_request";
        "The app that sent you here asked to return to an address that is not registered.";
        "The `redirect_uri` equals none of the client's, to the letter.";
        "Compare with `doorward client show`; if it is right, register a client with it.";
    InteractionUnknown = "interaction_unknown", 400, "invalid_request";
        "This page has expired, or belongs to another browser. Start over at the app.";
        "The stored authorization request is unknown, over, or bound to another browser.";
        "The user should start over at the app.";
    FormExpired = "form_expired", 403, "invalid_request";
        "This page has expired. Nothing was changed; try again.";
        "The form's CSRF token does not fit the session.";
        "The user should reload the page. Many of these from one origin are an attack.";

    // The authorization endpoint: sent to the client.
    ResponseTypeUnsupported = "response_type_unsupported", 400, "unsupported_response_type";
        "Only response_type=code is supported.";
        "The `response_type` is not `code`.";
        "Set the client to the code flow.";
    ResponseModeUnsupported = "response_mode_unsupported", 400, "invalid_request";
        "This response_mode is not supported.";
        "The `response_mode` is not `query`.";
        "Remove it from the client's configuration.";
    PkceMissing = "pkce_missing", 400, "invalid_request";
        "PKCE is required: send code_challenge and code_challenge_method=S256.";
        "No `code_challenge` came (RFC 7636 section 4.4.1).";
        "Turn PKCE on in the client's library.";
    PkceMethodUnsupported = "pkce_method_unsupported", 400, "invalid_request";
        "Only code_challenge_method=S256 is supported.";
        "The `code_challenge_method` is missing or `plain` (RFC 7636 section 4.4.1).";
        "Set the client's library to S256.";
    RequestObjectUnsupported = "request_object_unsupported", 400, "request_not_supported";
        "Request objects are not supported.";
        "The `request` parameter was sent.";
        "Send plain parameters.";
    RequestUriUnsupported = "request_uri_unsupported", 400, "request_uri_not_supported";
        "Request URIs are not supported.";
        "The `request_uri` parameter was sent.";
        "Send plain parameters.";
    LoginRequired = "login_required", 400, "login_required";
        "The user has to sign in.";
        "`prompt=none`, and there is no session that will do.";
        "The client should ask again without prompt=none.";
    ConsentRequired = "consent_required", 400, "consent_required";
        "The user has to consent.";
        "`prompt=none`, and the user has not allowed this, or has to be asked each time.";
        "The client should ask again without prompt=none.";
    AccessDenied = "access_denied", 400, "access_denied";
        "The user did not allow it.";
        "The user chose not to allow it, or left nothing ticked.";
        "Nothing to mend.";

    // Signing in.
    UserUnknown = "user_unknown", 401, "access_denied", as "sign_in_failed";
        "User name or password is wrong.";
        "No user has this name. The same work was done as for a wrong password.";
        "See `doorward user list`.";
    PasswordWrong = "password_wrong", 401, "access_denied", as "sign_in_failed";
        "User name or password is wrong.";
        "The user exists, and the password is another.";
        "`doorward user set-password`, if the user forgot it.";
    UserDisabled = "user_disabled", 401, "access_denied", as "sign_in_failed";
        "User name or password is wrong.";
        "The user is disabled.";
        "See `doorward user show`.";
    SignInThrottled = "sign_in_throttled", 429, "temporarily_unavailable";
        "Too many attempts. Wait, then try again.";
        "Sign-in failed too often for this name or from this address; no password was looked at.";
        "A browser that signed in before is not slowed by strangers. `doorward user set-password` clears the counters.";
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const OAUTH_ERRORS: [&str; 20] = [
        "",
        "access_denied",
        "consent_required",
        "insufficient_scope",
        "interaction_required",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "invalid_token",
        "login_required",
        "request_not_supported",
        "request_uri_not_supported",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "unsupported_token_type",
    ];

    #[test]
    fn every_code_stands_once_and_reads_back() {
        let codes: BTreeSet<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
        assert_eq!(codes.len(), Denial::ALL.len());
        for denial in Denial::ALL {
            assert_eq!(Denial::from_code(denial.code()), Some(*denial));
            assert!(denial.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }

    #[test]
    fn no_denial_answers_with_success() {
        for denial in Denial::ALL {
            assert!((400..=503).contains(&denial.status()), "{denial}");
            assert!(OAUTH_ERRORS.contains(&denial.error()), "{denial}");
        }
    }

    #[test]
    fn error_descriptions_stay_within_the_grammar_of_rfc_6749_but_for_typography() {
        for denial in Denial::ALL {
            let sentence = denial.sentence();
            assert!(sentence.chars().all(|c| c != '"' && c != '\\' && !c.is_control()), "{denial}");
            assert!(sentence.ends_with('.') && !sentence.contains('!'), "{denial}");
            assert!(denial.cause().ends_with('.') && denial.remedy().ends_with('.'), "{denial}");
        }
    }

    #[test]
    fn reasons_that_share_a_code_look_exactly_alike_to_the_caller() {
        let mut faces = BTreeMap::new();
        for denial in Denial::ALL {
            let face = (denial.status(), denial.error(), denial.sentence());
            assert_eq!(*faces.entry(denial.shown_as()).or_insert(face), face, "{denial}");
        }
    }

    #[test]
    fn bad_credentials_at_an_api_are_401_invalid_token() {
        for denial in Denial::ALL.iter().filter(|denial| denial.error() == "invalid_token") {
            assert_eq!(denial.status(), 401, "{denial}");
        }
    }
}
