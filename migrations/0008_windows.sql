-- Windows themselves stand in tables by day (lib/storage/d1-windows-table.ts); here is what is known beside them.

-- A metric's name with its labels, which windows name by the series' id.
CREATE TABLE series (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  series BLOB NOT NULL, -- 16 bytes
  labels TEXT NOT NULL, -- JSON object
  seen_day INTEGER NOT NULL, -- newest, days since 1970
  PRIMARY KEY (tenant, name, series)
) WITHOUT ROWID;

-- The days of which a partition has windows that are to be sent, and when the first of them is: what is due is found
-- without a look at the other days, however many there are.
CREATE TABLE due_days (
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  day INTEGER NOT NULL,
  next_due_ms INTEGER NOT NULL,
  PRIMARY KEY (source, partition, day)
) WITHOUT ROWID;

-- The newest start that a partition ever had of each definition.
CREATE TABLE newest_windows (
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  "window" TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  PRIMARY KEY (source, partition, "window")
) WITHOUT ROWID;
