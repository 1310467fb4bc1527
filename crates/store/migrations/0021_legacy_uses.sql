-- Which keys still come by a legacy way, on which route and from where, as APIs report it.
CREATE TABLE legacy_uses (
    key_id text NOT NULL,
    api_id text NOT NULL,
    way text NOT NULL,
    route text NOT NULL,
    network text NOT NULL,
    uses bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (key_id, api_id, way, route, network)
);
CREATE INDEX legacy_uses_by_api ON legacy_uses (api_id);
CREATE INDEX legacy_uses_by_last_use ON legacy_uses (last_at);
