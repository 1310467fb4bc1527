-- A key that somebody found and handed in: when that was, and where it was found.
ALTER TABLE api_keys ADD COLUMN leaked_at bigint;
ALTER TABLE api_keys ADD COLUMN leak_source text;
