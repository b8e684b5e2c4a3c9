-- Raw rows lie in a partition for each UTC day of their time, made by the commit that first writes to it
-- (lib/storage/postgres/partitions.ts) and dropped whole. The tables before them go with what they hold: see
-- docs/retention.md.
DROP TABLE metrics;
DROP TABLE logs;
DROP TABLE events;
DROP TABLE spans;

-- The key is the tenant, the time (nanoseconds since the epoch) and where the record lies in Kafka, so no
-- record can be stored twice. JSON stands as text: so its keys keep their order and its numbers their digits.
CREATE TABLE metrics (
  tenant text COLLATE "C" NOT NULL,
  time bigint NOT NULL,
  source bigint NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  idx integer NOT NULL,
  name text COLLATE "C" NOT NULL,
  value double precision, -- NULL: not one number (a histogram), or in `exact`
  exact text COLLATE "C", -- what is no finite number: +Inf, NaN, stale
  labels text COLLATE "C" NOT NULL, -- JSON object; names and values as text.ts writes them
  kind text COLLATE "C", -- gauge, counter, histogram, …; NULL where nobody said
  detail text COLLATE "C",
  PRIMARY KEY (tenant, time, source, partition, "offset", idx)
) PARTITION BY RANGE (time);
CREATE INDEX metrics_by_name ON metrics (tenant, name, time, source, partition, "offset", idx);

CREATE TABLE logs (
  tenant text COLLATE "C" NOT NULL,
  time bigint NOT NULL,
  source bigint NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  idx integer NOT NULL,
  level text COLLATE "C" NOT NULL,
  service text COLLATE "C",
  host text COLLATE "C",
  message text COLLATE "C" NOT NULL,
  attributes text COLLATE "C" NOT NULL, -- JSON object
  detail text COLLATE "C",
  PRIMARY KEY (tenant, time, source, partition, "offset", idx)
) PARTITION BY RANGE (time);
CREATE INDEX logs_by_service ON logs (tenant, service, time, source, partition, "offset", idx);

CREATE TABLE events (
  tenant text COLLATE "C" NOT NULL,
  time bigint NOT NULL,
  source bigint NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  idx integer NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  id text COLLATE "C",
  key text COLLATE "C",
  data text COLLATE "C" NOT NULL, -- JSON
  attributes text COLLATE "C", -- JSON object
  PRIMARY KEY (tenant, time, source, partition, "offset", idx)
) PARTITION BY RANGE (time);
CREATE INDEX events_by_type ON events (tenant, event_type, time, source, partition, "offset", idx);

CREATE TABLE spans (
  tenant text COLLATE "C" NOT NULL,
  time bigint NOT NULL, -- start
  source bigint NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  idx integer NOT NULL,
  trace_id text COLLATE "C" NOT NULL,
  span_id text COLLATE "C" NOT NULL,
  parent_span_id text COLLATE "C",
  name text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  service text COLLATE "C",
  host text COLLATE "C",
  duration bigint NOT NULL, -- nanoseconds
  attributes text COLLATE "C" NOT NULL, -- JSON object
  detail text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, time, source, partition, "offset", idx)
) PARTITION BY RANGE (time);
CREATE INDEX spans_by_trace ON spans (tenant, trace_id, time, source, partition, "offset", idx);
-- The list of traces: spans without a parent, newest first.
CREATE INDEX spans_at_root ON spans (tenant, time, source, partition, "offset", idx) WHERE parent_span_id IS NULL;

-- The first day (since 1970, UTC) that is kept. It is raised before any partition is dropped, under a lock that waits for
-- the commits which have read it (lib/storage/postgres/retention.ts).
CREATE TABLE retention (
  kind text COLLATE "C" PRIMARY KEY, -- raw, windows
  floor_day integer NOT NULL
);

-- How many rows of a day the ledger counts as stored, by their place in it: what becomes expired with the partition.
CREATE TABLE day_rows (
  kind text COLLATE "C" NOT NULL, -- metrics, logs, events, spans
  day integer NOT NULL,
  group_id text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  incarnation bigint NOT NULL,
  epoch bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  stored bigint NOT NULL,
  PRIMARY KEY (kind, day, group_id, topic, partition, incarnation, epoch, tenant)
);

ALTER TABLE ledger ADD COLUMN expired bigint NOT NULL DEFAULT 0;
ALTER TABLE offsets ADD COLUMN watermark_ms bigint NOT NULL DEFAULT 0;
