-- Weir's tables on D1 (SQLite).

-- API keys: only the SHA-256 of the secret part is kept, so a leaked database reveals no key.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  secret_sha256 TEXT NOT NULL,
  scopes TEXT NOT NULL, -- JSON array of ingest, query, admin, operator
  created_at TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT
) WITHOUT ROWID;

-- A topic as it exists between its creation and its deletion; made anew, it is another source.
CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  topic TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  UNIQUE (topic, incarnation)
);

-- How far each group has read: moves in the same transaction as the rows it stands for.
CREATE TABLE offsets (
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  records_total INTEGER NOT NULL,
  dead_total INTEGER NOT NULL,
  expired_total INTEGER NOT NULL, -- messages that retention removed before they were read
  updated_at TEXT NOT NULL,
  PRIMARY KEY (group_id, topic, partition)
) WITHOUT ROWID;

-- The fence: a commit that did not start at the stored offset writes 0 here, which fails the whole batch.
CREATE TABLE fence (ok INTEGER NOT NULL CHECK (ok = 1));

-- Raw rows. Clustered by tenant and time, newest first being the common question; the rest of the key is where the
-- record lies in Kafka, so no record can be stored twice. `time` is nanoseconds since the epoch.
CREATE TABLE metrics (
  tenant TEXT NOT NULL,
  time INTEGER NOT NULL,
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  name TEXT NOT NULL,
  value REAL NOT NULL,
  exact TEXT, -- the value in decimal, where SQLite's reading of it may be off by its last bit
  labels TEXT NOT NULL, -- JSON object
  PRIMARY KEY (tenant, time, source, partition, offset, idx)
) WITHOUT ROWID;

CREATE INDEX metrics_by_name ON metrics (tenant, name, time, source, partition, offset, idx);

CREATE TABLE logs (
  tenant TEXT NOT NULL,
  time INTEGER NOT NULL,
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  level TEXT NOT NULL,
  service TEXT,
  host TEXT,
  message TEXT NOT NULL,
  attributes TEXT NOT NULL, -- JSON object
  PRIMARY KEY (tenant, time, source, partition, offset, idx)
) WITHOUT ROWID;

CREATE INDEX logs_by_service ON logs (tenant, service, time, source, partition, offset, idx);

CREATE TABLE events (
  tenant TEXT NOT NULL,
  time INTEGER NOT NULL,
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  id TEXT,
  key TEXT,
  data TEXT NOT NULL, -- JSON
  attributes TEXT, -- JSON object
  PRIMARY KEY (tenant, time, source, partition, offset, idx)
) WITHOUT ROWID;

CREATE INDEX events_by_type ON events (tenant, event_type, time, source, partition, offset, idx);

-- Messages and records that could not be read, kept whole so that they can be looked at and replayed.
CREATE TABLE dead_letters (
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  idx INTEGER NOT NULL, -- −1: the message as a whole
  group_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  original_key TEXT, -- base64
  original_value TEXT, -- base64
  error TEXT NOT NULL,
  error_type TEXT NOT NULL,
  dlq_timestamp TEXT NOT NULL,
  PRIMARY KEY (source, partition, offset, idx, group_id)
) WITHOUT ROWID;
