-- Windows lie in a partition for each UTC day of their start, made by the commit that first writes to it
-- (lib/storage/postgres/partitions.ts) and dropped whole.
CREATE TABLE windows (
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  "window" text COLLATE "C" NOT NULL, -- id of its definition
  start_ms bigint NOT NULL,
  series uuid NOT NULL, -- 16 bytes of a hash
  source bigint NOT NULL,
  partition integer NOT NULL,
  end_ms bigint NOT NULL,
  due_ms bigint, -- NULL: its final result was sent
  revision integer NOT NULL,
  state text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, name, "window", start_ms, series, source, partition)
) PARTITION BY RANGE (start_ms);
CREATE INDEX windows_due ON windows (source, partition, due_ms) WHERE due_ms IS NOT NULL;
-- A session's start is not known beforehand: by the key a look-up would walk the sessions of all series.
CREATE INDEX windows_sessions ON windows (series, "window", start_ms) WHERE starts_with("window", 'session:');

-- A metric's name with its labels, which windows name by the series' id.
CREATE TABLE series (
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  series uuid NOT NULL,
  labels text COLLATE "C" NOT NULL, -- JSON object; names and values as text.ts writes them
  seen_day integer NOT NULL, -- newest, days since 1970
  PRIMARY KEY (tenant, name, series)
);

-- The days of which a partition has windows that are to be sent, and when the first of them is: what is due is found
-- without a look at the other days, however many there are.
CREATE TABLE due_days (
  source bigint NOT NULL,
  partition integer NOT NULL,
  day integer NOT NULL,
  next_due_ms bigint NOT NULL,
  PRIMARY KEY (source, partition, day)
);

-- The newest start that a partition ever had of each definition.
CREATE TABLE newest_windows (
  source bigint NOT NULL,
  partition integer NOT NULL,
  "window" text COLLATE "C" NOT NULL,
  start_ms bigint NOT NULL,
  PRIMARY KEY (source, partition, "window")
);
