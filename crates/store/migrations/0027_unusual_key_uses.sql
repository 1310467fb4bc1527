-- The keys of an owner that leaked, for the account page.
CREATE INDEX api_keys_leaked ON api_keys (owner, leaked_at) WHERE leaked_at IS NOT NULL;

-- When it was last reported that a key is used which should not be, by the reason.
CREATE TABLE key_unusual_uses (
    key_id text NOT NULL,
    reason text NOT NULL,
    reported_at bigint NOT NULL,
    PRIMARY KEY (key_id, reason)
);
CREATE INDEX key_unusual_uses_by_time ON key_unusual_uses (reported_at);

-- The networks that a key was last used from, where an API asks for reports of new ones.
CREATE TABLE key_networks (
    key_id text NOT NULL,
    network text NOT NULL,
    last_used_at bigint NOT NULL,
    PRIMARY KEY (key_id, network)
);
