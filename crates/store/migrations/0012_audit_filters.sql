-- The audit is filtered, newest first. Each index ends with the id, so that the newest events of an actor, a subject, an
-- action or a code are read without the others.
CREATE INDEX audit_of_actor ON audit (actor, id) WHERE actor IS NOT NULL;
CREATE INDEX audit_of_subject ON audit (subject, id) WHERE subject IS NOT NULL;
CREATE INDEX audit_of_action ON audit (action, id);
CREATE INDEX audit_of_code ON audit (code, id) WHERE code IS NOT NULL;
-- Refusals only: an index of all addresses would be written in as many places as there are callers that get tokens.
CREATE INDEX audit_refusals_of_address ON audit (address, id) WHERE code IS NOT NULL;
-- What a user is shown of the account, without the events that can be many.
CREATE INDEX audit_shown_of_subject ON audit (subject, id)
    WHERE action NOT IN ('request.refused', 'token.issued', 'refresh_token.rotated');
-- The ones above do what these did.
DROP INDEX audit_by_actor;
DROP INDEX audit_by_subject;
DROP INDEX audit_refusals;
