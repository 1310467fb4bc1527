-- A key that is disabled works again once it is enabled. Nodes of an older version would go on to accept it.
ALTER TABLE api_keys ADD COLUMN disabled_at bigint;
