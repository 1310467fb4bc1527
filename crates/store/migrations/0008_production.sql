-- The oldest schema whose programs can work on the one that this migration makes: nodes are replaced one by one.
ALTER TABLE schema_migrations ADD COLUMN usable_from bigint;

-- The grants of a client or of a user that were given before this time have ended, whether or not their rows say so yet.
-- The row goes when they all do.
CREATE TABLE ending_grants (
    subject text NOT NULL PRIMARY KEY,
    before bigint NOT NULL,
    why text NOT NULL
);

DROP INDEX grants_by_client;
CREATE INDEX grants_by_client ON grants (client_id, created_at) WHERE ended_at IS NULL;
CREATE INDEX grants_live_by_user ON grants (user_id, created_at) WHERE ended_at IS NULL;

-- Written to find out whether the database takes writes.
CREATE TABLE probe (
    id bigint NOT NULL PRIMARY KEY,
    written_at bigint NOT NULL
);

-- The last time at which a server's clock was found plausible. What is old is removed only by a plausible clock.
CREATE TABLE trusted_clock (
    id bigint NOT NULL PRIMARY KEY,
    at bigint NOT NULL
);
