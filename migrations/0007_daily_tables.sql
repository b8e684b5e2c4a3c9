-- Raw rows lie in tables by day, `metrics_20261121` and so on, which commits make (lib/storage/d1-days.ts) and retention
-- drops. The tables without a day go with what they hold: see docs/retention.md.
DROP TABLE metrics;
DROP TABLE logs;
DROP TABLE events;
DROP TABLE spans;

-- The tables that there are. A day is whole days since 1970, UTC.
CREATE TABLE days (
  kind TEXT NOT NULL, -- metrics, logs, events, spans, windows
  day INTEGER NOT NULL,
  PRIMARY KEY (kind, day)
) WITHOUT ROWID;

-- The first day that is kept. It is raised before any table is dropped, and commits are fenced by it.
CREATE TABLE retention (
  kind TEXT PRIMARY KEY, -- raw, windows
  floor_day INTEGER NOT NULL
) WITHOUT ROWID;

-- How many rows of a day the ledger counts as stored, by their place in it: what becomes expired with the day's table.
CREATE TABLE day_rows (
  kind TEXT NOT NULL,
  day INTEGER NOT NULL,
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  stored INTEGER NOT NULL,
  PRIMARY KEY (kind, day, group_id, topic, partition, incarnation, epoch, tenant)
) WITHOUT ROWID;

ALTER TABLE ledger ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE offsets ADD COLUMN watermark_ms INTEGER NOT NULL DEFAULT 0;

-- A further reason to take a batch back: it was planned when older days were still kept.
ALTER TABLE fence ADD COLUMN floor INTEGER CONSTRAINT floor_moved CHECK (floor = 0);
