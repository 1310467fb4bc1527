-- One text for SQLite and PostgreSQL: only bigint, text and bytea.
-- Write NOT NULL on primary keys: SQLite lets NULL into those that are not INTEGER.

-- The row's lock is held to the commit, so the order of positions is the order of commits.
CREATE TABLE change_counter (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    position bigint NOT NULL
);
INSERT INTO change_counter (id, position) VALUES (1, 0);

-- at: milliseconds since the Unix epoch.
CREATE TABLE changes (
    position bigint NOT NULL PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    at bigint NOT NULL
);
