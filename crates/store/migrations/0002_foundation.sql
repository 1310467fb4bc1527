-- Everything that the authorization server remembers. Times are milliseconds since 1970; `*_at` without a value means
-- "not yet". Lists that are only ever read whole are JSON in a text column.

CREATE TABLE apis (
    id text NOT NULL PRIMARY KEY,
    name text NOT NULL UNIQUE,
    identifier text NOT NULL UNIQUE,
    scopes text NOT NULL,
    roles text NOT NULL,
    token_format text NOT NULL,
    signing_algorithm text NOT NULL,
    access_token_ttl_ms bigint NOT NULL,
    key_prefix text NOT NULL,
    created_at bigint NOT NULL
);

-- Scope names are unique across all APIs.
CREATE TABLE api_scopes (
    scope text NOT NULL PRIMARY KEY,
    api_id text NOT NULL REFERENCES apis (id)
);

CREATE TABLE clients (
    id text NOT NULL PRIMARY KEY,
    name text NOT NULL,
    authentication text NOT NULL,
    secret_pepper text,
    secret_digest bytea,
    jwks text,
    assertion_for_token_endpoint bigint NOT NULL,
    grant_types text NOT NULL,
    redirect_uris text NOT NULL,
    scopes text NOT NULL,
    default_scopes text NOT NULL,
    id_token_algorithm text NOT NULL,
    api_id text REFERENCES apis (id),
    created_at bigint NOT NULL,
    disabled_at bigint
);

CREATE TABLE users (
    id text NOT NULL PRIMARY KEY,
    username text NOT NULL,
    username_folded text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    name text,
    email text,
    email_verified bigint NOT NULL,
    created_at bigint NOT NULL,
    disabled_at bigint
);

-- The holder is a user, a client or a key, by its id.
CREATE TABLE role_grants (
    holder text NOT NULL,
    api_id text NOT NULL REFERENCES apis (id),
    role text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (holder, api_id, role)
);

CREATE TABLE api_keys (
    id text NOT NULL PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    pepper text NOT NULL,
    hint text NOT NULL,
    name text NOT NULL,
    owner text,
    api_ids text NOT NULL,
    limited_to text NOT NULL,
    scopes text NOT NULL,
    environment text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
);
CREATE INDEX api_keys_by_owner ON api_keys (owner);

CREATE TABLE signing_keys (
    id text NOT NULL PRIMARY KEY,
    algorithm text NOT NULL,
    sealed bytea NOT NULL,
    sealed_under text NOT NULL,
    public_jwk text NOT NULL,
    published_at bigint NOT NULL,
    active_from bigint NOT NULL
);

CREATE TABLE sessions (
    id text NOT NULL PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    pepper text NOT NULL,
    user_id text NOT NULL REFERENCES users (id),
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    ended_at bigint,
    address text NOT NULL,
    user_agent text NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

-- A stored authorization request: found by the unguessable id in the page's address, bound to one browser.
CREATE TABLE authorization_requests (
    digest bytea NOT NULL PRIMARY KEY,
    pepper text NOT NULL,
    browser bytea NOT NULL,
    request text NOT NULL,
    requested_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    answered_at bigint
);
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (expires_at);

-- What a user allowed a client to have without being asked again.
CREATE TABLE consents (
    user_id text NOT NULL REFERENCES users (id),
    client_id text NOT NULL,
    scopes text NOT NULL,
    given_at bigint NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX consents_by_client ON consents (client_id);

-- The row of a grant is the lock of all that came from it: whoever redeems its code, rotates its refresh token or ends
-- it updates this row first.
CREATE TABLE grants (
    id text NOT NULL PRIMARY KEY,
    user_id text NOT NULL REFERENCES users (id),
    client_id text NOT NULL,
    session_id text NOT NULL,
    scopes text NOT NULL,
    requested_scopes text NOT NULL,
    resources text NOT NULL,
    nonce text,
    auth_time bigint NOT NULL,
    created_at bigint NOT NULL,
    last_used_at bigint,
    expires_at bigint NOT NULL,
    ended_at bigint,
    ended_why text
);
CREATE INDEX grants_by_user ON grants (user_id, client_id);
CREATE INDEX grants_by_client ON grants (client_id) WHERE ended_at IS NULL;
CREATE INDEX grants_by_expiry ON grants (expires_at);

CREATE TABLE codes (
    digest bytea NOT NULL PRIMARY KEY,
    pepper text NOT NULL,
    grant_id text NOT NULL,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    code_challenge text NOT NULL,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    redeemed_at bigint
);
CREATE INDEX codes_by_expiry ON codes (expires_at);

-- A family that is ended expires at the same time, so that its tokens are swept soon.
CREATE TABLE refresh_families (
    id text NOT NULL PRIMARY KEY,
    grant_id text NOT NULL,
    client_id text NOT NULL,
    is_bound bigint NOT NULL,
    created_at bigint NOT NULL,
    other_repeats bigint NOT NULL,
    other_repeats_since bigint NOT NULL,
    expires_at bigint NOT NULL,
    ended_at bigint
);
CREATE INDEX refresh_families_by_grant ON refresh_families (grant_id);
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_at);

-- The newest generation of a family is its live token. The seal of a successor is erased when the grace is over, which
-- counts from `seal_counts_from`: the rotation, or for bound tokens the end of the family.
CREATE TABLE refresh_tokens (
    digest bytea NOT NULL PRIMARY KEY,
    pepper text NOT NULL,
    family_id text NOT NULL,
    generation bigint NOT NULL,
    issued_at bigint NOT NULL,
    rotated_at bigint,
    rotated_from text,
    successor_sealed bytea,
    seal_counts_from bigint
);
CREATE UNIQUE INDEX refresh_tokens_by_family ON refresh_tokens (family_id, generation);
CREATE INDEX refresh_tokens_by_seal ON refresh_tokens (seal_counts_from) WHERE seal_counts_from IS NOT NULL;

-- Opaque access tokens; JWTs have no row.
CREATE TABLE access_tokens (
    digest bytea NOT NULL PRIMARY KEY,
    pepper text NOT NULL,
    claims text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

-- The ids (`jti`) of access tokens that were revoked before their end.
CREATE TABLE revoked_tokens (
    id text NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

-- `id` is the SHA-256 of the `jti`, whose length and characters are the client's choice.
CREATE TABLE assertion_ids (
    client_id text NOT NULL,
    id bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (client_id, id)
);
CREATE INDEX assertion_ids_by_expiry ON assertion_ids (expires_at);

-- `in_a_row` stays 0 where no number of failures closes the way in.
CREATE TABLE failures (
    subject text NOT NULL PRIMARY KEY,
    recent bigint NOT NULL,
    in_a_row bigint NOT NULL,
    last_at bigint NOT NULL
);
CREATE INDEX failures_by_time ON failures (last_at) WHERE in_a_row = 0;
CREATE INDEX failures_in_a_row_by_time ON failures (last_at) WHERE in_a_row > 0;

-- Ids are ordered by time, so that `at` needs no index of its own.
CREATE TABLE audit (
    id text NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    trace_id text,
    action text NOT NULL,
    code text,
    actor text,
    subject text,
    address text,
    count bigint NOT NULL,
    details text NOT NULL
);
CREATE INDEX audit_by_trace ON audit (trace_id);
CREATE INDEX audit_by_subject ON audit (subject, action);
CREATE INDEX audit_by_actor ON audit (actor, action);
