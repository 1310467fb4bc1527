-- What the audit holds, by the hour in which its events happened: so much that bounds need no count of all rows.
CREATE TABLE audit_hours (
    hour bigint NOT NULL PRIMARY KEY,
    events bigint NOT NULL,
    bytes bigint NOT NULL,
    refusals bigint NOT NULL
);
-- Up to which event the hours above count. Whatever removes events locks this row first.
CREATE TABLE audit_tally (
    id bigint NOT NULL PRIMARY KEY,
    counted_to text NOT NULL
);
-- What was removed from the audit and has no event that says so yet.
CREATE TABLE audit_removed (
    bound text NOT NULL,
    action text NOT NULL,
    events bigint NOT NULL,
    oldest bigint NOT NULL,
    newest bigint NOT NULL,
    PRIMARY KEY (bound, action)
);
