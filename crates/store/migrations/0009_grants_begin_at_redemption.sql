-- A code that nobody redeems leaves nothing: its grant expires with it, and lives on only once it was redeemed. How many
-- codes of a client wait for their redemption by a user is bounded, so the index of a user's grants has their time.
DROP INDEX grants_by_user;
CREATE INDEX grants_by_user ON grants (user_id, client_id, expires_at);

-- How the user of a grant had signed in: methods by their names in RFC 8176, for `amr`. Until now there was one.
ALTER TABLE grants ADD COLUMN sign_in_methods text NOT NULL DEFAULT '["pwd"]';

-- When what is registered of a user was last changed; without a value: not since it was created.
ALTER TABLE users ADD COLUMN updated_at bigint;

-- New APIs sign with ES256, which every library verifies. The management API was created by the program, not by an
-- operator who chose; with its EdDSA the key set would hold a key that some libraries fail on.
UPDATE apis SET metadata = replace(metadata, '"signing_algorithm":"EdDSA"', '"signing_algorithm":"ES256"')
WHERE name = 'doorward';
