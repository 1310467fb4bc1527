-- Scopes that were removed from an API. What was granted or issued at or before that time no longer allows them, also when
-- an API has them again later.
CREATE TABLE ended_scopes (
    scope text NOT NULL PRIMARY KEY,
    before bigint NOT NULL
);

-- When a key got its scopes: an ended scope counts only in keys that got it later.
ALTER TABLE api_keys ADD COLUMN scope_given_at bigint NOT NULL DEFAULT 0;
UPDATE api_keys SET scope_given_at = created_at;
-- The same of a client. NULL: when it was created.
ALTER TABLE clients ADD COLUMN scope_given_at bigint;

-- Until when something was signed with the algorithm of a key, if that ended: its tokens are still verified.
ALTER TABLE signing_keys ADD COLUMN unused_since bigint;

-- APIs and users that were deleted. Nothing reads such a row: it stays only until all rows that refer to it are removed.
ALTER TABLE apis ADD COLUMN deleted_at bigint;
ALTER TABLE users ADD COLUMN deleted_at bigint;
CREATE INDEX apis_deleted ON apis (id) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_deleted ON users (id) WHERE deleted_at IS NOT NULL;
-- The users that are left, in the order of their creation, and the first and the last of them.
CREATE INDEX users_left ON users (id) WHERE deleted_at IS NULL;
CREATE INDEX users_enabled ON users (id) WHERE deleted_at IS NULL AND disabled_at IS NULL;
CREATE INDEX users_disabled ON users (id) WHERE deleted_at IS NULL AND disabled_at IS NOT NULL;
