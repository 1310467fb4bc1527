-- The client that a consent was given: one that is created later with the same id is another. By the client's own time, so
-- that nothing depends on the clocks of those who write.
ALTER TABLE consents ADD COLUMN client_created_at bigint;
UPDATE consents SET client_created_at = (SELECT created_at FROM clients WHERE clients.id = consents.client_id);
