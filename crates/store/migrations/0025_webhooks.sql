-- Endpoints that events are sent to. The secrets that sign are sealed under a master key; the previous one signs as well
-- until it ends.
CREATE TABLE webhooks (
    id text NOT NULL PRIMARY KEY,
    metadata text NOT NULL,
    secret_sealed bytea NOT NULL,
    secret_sealed_under text NOT NULL,
    previous_sealed bytea,
    previous_sealed_under text,
    previous_ends_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    disabled_at bigint,
    -- NULL: somebody disabled it.
    disabled_because text,
    -- Since when no attempt succeeded, if the last one failed.
    failing_since bigint,
    -- Nothing reads such a row: it stays only until all rows that refer to it are removed.
    deleted_at bigint
);
CREATE INDEX webhooks_deleted ON webhooks (id) WHERE deleted_at IS NOT NULL;

-- What is sent to an endpoint: an event, with the attempts to deliver it.
CREATE TABLE webhook_deliveries (
    webhook_id text NOT NULL REFERENCES webhooks (id),
    event_id text NOT NULL,
    event_type text NOT NULL,
    data text NOT NULL,
    occurred_at bigint NOT NULL,
    -- waiting, delivered or dead
    state text NOT NULL,
    attempts bigint NOT NULL,
    -- Of one that waits: from when it may be tried. A node that tries it sets this ahead, so that no other does.
    due_at bigint,
    last_attempt_at bigint,
    last_status bigint,
    last_error text,
    finished_at bigint,
    PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (webhook_id, state, event_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
