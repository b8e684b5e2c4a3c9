-- OTLP and remote write: metrics of all kinds, logs with all that they carry, spans. `detail` is JSON: the record as it
-- came, whole, beside the columns that queries go by.
ALTER TABLE logs ADD COLUMN detail TEXT;

CREATE TABLE metrics_of_all_kinds (
  tenant TEXT NOT NULL,
  time INTEGER NOT NULL,
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  name TEXT NOT NULL,
  value REAL, -- NULL: not one number (a histogram), or in `exact` alone
  exact TEXT, -- where a REAL may be off by its last bit, and what is no finite number: +Inf, NaN, stale
  labels TEXT NOT NULL, -- JSON object
  kind TEXT, -- gauge, counter, histogram, …; NULL where nobody said
  detail TEXT,
  PRIMARY KEY (tenant, time, source, partition, offset, idx)
) WITHOUT ROWID;

INSERT INTO metrics_of_all_kinds
  SELECT tenant, time, source, partition, offset, idx, name, value, exact, labels, NULL, NULL FROM metrics;
DROP TABLE metrics;
ALTER TABLE metrics_of_all_kinds RENAME TO metrics;
CREATE INDEX metrics_by_name ON metrics (tenant, name, time, source, partition, offset, idx);

CREATE TABLE spans (
  tenant TEXT NOT NULL,
  time INTEGER NOT NULL, -- start
  source INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL,
  parent_span_id TEXT,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  service TEXT,
  host TEXT,
  duration INTEGER NOT NULL, -- nanoseconds
  attributes TEXT NOT NULL, -- JSON object
  detail TEXT NOT NULL,
  PRIMARY KEY (tenant, time, source, partition, offset, idx)
) WITHOUT ROWID;

-- Status and service at the end, so that a trace is summed up by the index alone.
CREATE INDEX spans_by_trace ON spans (tenant, trace_id, time, source, partition, offset, idx, status, service);
-- The list of traces: spans without a parent, newest first.
CREATE INDEX spans_at_root ON spans (tenant, time, source, partition, offset, idx) WHERE parent_span_id IS NULL;
