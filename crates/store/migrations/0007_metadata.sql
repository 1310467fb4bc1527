-- What is registered of a client, an API, a key or a user is one JSON text. Columns of their own have only what SQL
-- filters by, or what settles a race.

ALTER TABLE clients ADD COLUMN metadata text NOT NULL DEFAULT '{}';
UPDATE clients SET metadata =
    '{"client_name":"' || replace(replace(name, '\', '\\'), '"', '\"')
    || '","token_endpoint_auth_method":"' || authentication
    || '","grant_types":' || grant_types
    || ',"redirect_uris":' || redirect_uris
    || ',"scope":"' || scopes
    || '","default_scope":"' || default_scopes
    || '","id_token_signed_response_alg":"' || id_token_algorithm
    || '",' || CASE WHEN jwks IS NULL THEN '' ELSE '"jwks":' || jwks || ',' END
    || '"assertion_for_token_endpoint":' || CASE assertion_for_token_endpoint WHEN 0 THEN 'false' ELSE 'true' END
    || '}';
ALTER TABLE clients DROP COLUMN name;
ALTER TABLE clients DROP COLUMN authentication;
ALTER TABLE clients DROP COLUMN jwks;
ALTER TABLE clients DROP COLUMN assertion_for_token_endpoint;
ALTER TABLE clients DROP COLUMN grant_types;
ALTER TABLE clients DROP COLUMN redirect_uris;
ALTER TABLE clients DROP COLUMN scopes;
ALTER TABLE clients DROP COLUMN default_scopes;
ALTER TABLE clients DROP COLUMN id_token_algorithm;
CREATE INDEX clients_by_api ON clients (api_id) WHERE api_id IS NOT NULL;

ALTER TABLE apis ADD COLUMN metadata text NOT NULL DEFAULT '{}';
UPDATE apis SET metadata =
    '{"name":"' || name
    || '","identifier":"' || replace(replace(identifier, '\', '\\'), '"', '\"')
    || '","scopes":' || scopes
    || ',"roles":' || roles
    || ',"token_format":"' || token_format
    || '","signing_algorithm":"' || signing_algorithm
    || '","access_token_ttl":' || (access_token_ttl_ms / 1000)
    || ',"key_prefix":"' || key_prefix
    || '"}';
ALTER TABLE apis DROP COLUMN scopes;
ALTER TABLE apis DROP COLUMN roles;
ALTER TABLE apis DROP COLUMN token_format;
ALTER TABLE apis DROP COLUMN signing_algorithm;
ALTER TABLE apis DROP COLUMN access_token_ttl_ms;
ALTER TABLE apis DROP COLUMN key_prefix;

ALTER TABLE api_keys ADD COLUMN metadata text NOT NULL DEFAULT '{}';
UPDATE api_keys SET metadata =
    '{"name":"' || replace(replace(name, '\', '\\'), '"', '\"')
    || '","apis":' || api_ids
    || ',"limited_to":' || limited_to
    || ',"scope":"' || scopes
    || '","environment":"' || environment
    || '"}';
ALTER TABLE api_keys DROP COLUMN name;
ALTER TABLE api_keys DROP COLUMN api_ids;
ALTER TABLE api_keys DROP COLUMN limited_to;
ALTER TABLE api_keys DROP COLUMN scopes;
ALTER TABLE api_keys DROP COLUMN environment;

ALTER TABLE users ADD COLUMN metadata text NOT NULL DEFAULT '{}';
UPDATE users SET metadata =
    '{"username":"' || replace(replace(username, '\', '\\'), '"', '\"')
    || '","name":' || CASE WHEN name IS NULL THEN 'null' ELSE '"' || replace(replace(name, '\', '\\'), '"', '\"') || '"' END
    || ',"email":' || CASE WHEN email IS NULL THEN 'null' ELSE '"' || replace(replace(email, '\', '\\'), '"', '\"') || '"' END
    || ',"email_verified":' || CASE email_verified WHEN 0 THEN 'false' ELSE 'true' END
    || '}';
ALTER TABLE users DROP COLUMN username;
ALTER TABLE users DROP COLUMN name;
ALTER TABLE users DROP COLUMN email;
ALTER TABLE users DROP COLUMN email_verified;

-- How and when the user of a session was authenticated: methods by their names in RFC 8176.
ALTER TABLE sessions ADD COLUMN authentications text NOT NULL DEFAULT '[]';
UPDATE sessions SET authentications = '[{"method":"pwd","at":' || created_at || '}]';
