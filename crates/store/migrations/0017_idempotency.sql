-- Answers of the management API that are given again when a caller repeats its request (`Idempotency-Key`). The digest is
-- that of the caller and its key, and the answer is sealed under a key derived from them.
CREATE TABLE kept_answers (
    digest bytea NOT NULL PRIMARY KEY,
    pepper text NOT NULL,
    request bytea NOT NULL,
    sealed bytea NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX kept_answers_by_expiry ON kept_answers (expires_at);

-- The algorithm that signs a client's ID tokens: which are in use is asked after each change of a client.
ALTER TABLE clients ADD COLUMN id_token_alg text;
UPDATE clients SET id_token_alg = CASE
    WHEN metadata LIKE '%"id_token_signed_response_alg":"EdDSA"%' THEN 'EdDSA'
    WHEN metadata LIKE '%"id_token_signed_response_alg":"ES256"%' THEN 'ES256'
    WHEN metadata LIKE '%"id_token_signed_response_alg":"PS256"%' THEN 'PS256'
    ELSE 'RS256' END;
CREATE INDEX clients_by_id_token_alg ON clients (id_token_alg);
