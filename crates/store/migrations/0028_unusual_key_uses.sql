-- The keys of an owner that leaked, for the account page.
CREATE INDEX api_keys_leaked ON api_keys (owner, leaked_at) WHERE leaked_at IS NOT NULL;
