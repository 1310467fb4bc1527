-- Who was signed in when a request came, or is since: of one user only so many wait. Requests that were stored before are
-- nobody's.
ALTER TABLE authorization_requests ADD COLUMN user_id text;
CREATE INDEX authorization_requests_by_user ON authorization_requests (user_id, expires_at) WHERE user_id IS NOT NULL;
