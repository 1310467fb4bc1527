-- Lists are filtered, in the order of ids. Each filter has its index, so that a page costs the same however many rows do
-- not match.
CREATE INDEX clients_enabled ON clients (id) WHERE api_id IS NULL AND disabled_at IS NULL;
CREATE INDEX clients_disabled ON clients (id) WHERE api_id IS NULL AND disabled_at IS NOT NULL;

CREATE INDEX api_keys_live ON api_keys (id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_revoked ON api_keys (id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_of_owner ON api_keys (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX api_keys_live_of_owner ON api_keys (owner, id) WHERE owner IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX api_keys_revoked_of_owner ON api_keys (owner, id) WHERE owner IS NOT NULL AND revoked_at IS NOT NULL;
-- The one above does what this did.
DROP INDEX api_keys_by_owner;

-- The primary key begins with the holder.
CREATE INDEX role_grants_of_api ON role_grants (api_id, holder, role);
CREATE INDEX role_grants_of_role ON role_grants (role, holder, api_id);
CREATE INDEX role_grants_of_role_at_api ON role_grants (api_id, role, holder);

-- How sessions end, by themselves, is for the program to know: these are the ones that nobody ended.
CREATE INDEX sessions_not_ended ON sessions (id) WHERE ended_at IS NULL;
CREATE INDEX sessions_not_ended_of_user ON sessions (user_id, id) WHERE ended_at IS NULL;
