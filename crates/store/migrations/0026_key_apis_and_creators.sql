-- Nodes of an older version would create keys that a filter by API, creator or time does not find.

-- The APIs of each key, so that the keys of one API are found without reading the others.
CREATE TABLE key_apis (
    api_id text NOT NULL,
    key_id text NOT NULL,
    PRIMARY KEY (api_id, key_id)
);
-- What both engines can do without their different functions for JSON: `apis` is between `name` and `limited_to`. Readers
-- compare with the key itself, so a row too many would do no harm.
INSERT INTO key_apis (api_id, key_id)
    SELECT apis.id, api_keys.id FROM apis JOIN api_keys
    ON api_keys.metadata LIKE '{"name":%,"apis":[%"' || apis.id || '"%],"limited_to":[%'
    WHERE apis.deleted_at IS NULL;

-- Who created a key, as the audit has it. Unknown for old keys whose event was removed.
ALTER TABLE api_keys ADD COLUMN created_by text;
UPDATE api_keys SET created_by = (
    SELECT min(audit.actor) FROM audit WHERE audit.subject = api_keys.id AND audit.action = 'key.created'
);
CREATE INDEX api_keys_of_creator ON api_keys (created_by, id) WHERE created_by IS NOT NULL;

-- By the time, since the id of a key that a user creates is as old as the form.
CREATE INDEX api_keys_by_creation ON api_keys (created_at, id);

-- Keys that were revoked together, and are still to be reported to webhooks: by the audit event of their revocation.
CREATE TABLE revocations_to_report (
    audit_id text NOT NULL,
    key_id text NOT NULL,
    revoked_at bigint NOT NULL,
    PRIMARY KEY (audit_id, key_id)
);
