-- Keys that have a successor. The deadline is also in `api_keys.expires_at`, so nodes of an older version end the old key there.
CREATE TABLE key_rotations (
    key_id text NOT NULL PRIMARY KEY,
    successor_id text NOT NULL UNIQUE,
    rotated_at bigint NOT NULL,
    deadline bigint NOT NULL,
    quiet_for bigint NOT NULL,
    -- When the key would have ended without the rotation. NULL: never.
    original_end bigint,
    ended_at bigint,
    -- When to ask again whether the old key can end.
    check_at bigint NOT NULL
);
CREATE INDEX key_rotations_to_check ON key_rotations (check_at) WHERE ended_at IS NULL;

-- Who used a key while it was being replaced: the latest uses of each.
CREATE TABLE key_old_uses (
    key_id text NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    last_used_at bigint NOT NULL,
    PRIMARY KEY (key_id, address, user_agent)
);

-- Keys for which a successor is due by the policy of one of their APIs.
CREATE TABLE keys_due (
    key_id text NOT NULL PRIMARY KEY,
    since bigint NOT NULL
);

-- How far each search for keys that end soon or that are due has come: it goes on behind this key.
CREATE TABLE key_searches (
    name text NOT NULL PRIMARY KEY,
    after_time bigint NOT NULL,
    after_id text NOT NULL
);

-- The keys that are left, in the order in which they end.
CREATE INDEX api_keys_by_end ON api_keys (expires_at, id) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;
