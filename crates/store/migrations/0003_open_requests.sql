-- Whose requests are still to be answered, so that one caller can't make them without bound. Requests that were stored
-- before are nobody's.
ALTER TABLE authorization_requests ADD COLUMN network text NOT NULL DEFAULT '';
CREATE INDEX authorization_requests_by_network ON authorization_requests (network, expires_at);
