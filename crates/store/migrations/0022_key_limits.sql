-- Nodes of an older version would let keys in from everywhere, and without a limit.

-- What nodes have taken out of a key's quotas, and of its number of uses. `period` is the begin of the day or month, or the time at
-- which the number of uses was set.
CREATE TABLE key_budgets (
    key_id text NOT NULL,
    budget text NOT NULL,
    period bigint NOT NULL,
    reserved bigint NOT NULL,
    PRIMARY KEY (key_id, budget, period)
);

-- How often a key was verified on a day, with which outcome, and how long that took.
CREATE TABLE key_usage (
    key_id text NOT NULL,
    day bigint NOT NULL,
    outcome text NOT NULL,
    within_1ms bigint NOT NULL,
    within_10ms bigint NOT NULL,
    within_100ms bigint NOT NULL,
    slower bigint NOT NULL,
    PRIMARY KEY (key_id, day, outcome)
);
CREATE INDEX key_usage_by_day ON key_usage (day);

-- From where a key was last used.
ALTER TABLE api_keys ADD COLUMN last_used_address text;
