-- What a key may do beyond its scopes, its rotation, and who did what to it.

ALTER TABLE api_keys ADD COLUMN signals TEXT; -- JSON array of the signals it may ingest; null: all
ALTER TABLE api_keys ADD COLUMN origins TEXT; -- JSON array of web origins; set: a key for browsers
ALTER TABLE api_keys ADD COLUMN limits TEXT; -- JSON object of its quota; null: the tenant's

-- While a rotation overlaps, the secret before it is good, too. Both are SHA-256, as secret_sha256.
ALTER TABLE api_keys ADD COLUMN previous_sha256 TEXT;
ALTER TABLE api_keys ADD COLUMN previous_until TEXT;

-- The ids of the keys that did it.
ALTER TABLE api_keys ADD COLUMN created_by TEXT;
ALTER TABLE api_keys ADD COLUMN rotated_at TEXT;
ALTER TABLE api_keys ADD COLUMN rotated_by TEXT;
ALTER TABLE api_keys ADD COLUMN revoked_by TEXT;

CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at, id);
