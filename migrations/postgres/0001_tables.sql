-- Weir's tables on PostgreSQL: those of D1 but for API keys and clients' reports, which stay there. Names and meanings
-- are D1's. Texts are compared by their bytes (COLLATE "C"), which is the order of code points, as on D1. NUL, which
-- PostgreSQL's texts cannot hold, is written as lib/storage/postgres/text.ts tells.

-- A source is a topic of one making as one epoch of its group read it. Queries see the rows of visible ones.
CREATE TABLE sources (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  topic text COLLATE "C" NOT NULL,
  incarnation bigint NOT NULL,
  epoch bigint NOT NULL,
  is_visible boolean NOT NULL,
  UNIQUE (topic, incarnation, epoch)
);

-- How far each group has read: moves in the same transaction as the rows it stands for.
CREATE TABLE offsets (
  group_id text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  incarnation bigint NOT NULL,
  epoch bigint NOT NULL,
  next_offset bigint NOT NULL,
  mark text COLLATE "C",
  records_total bigint NOT NULL,
  dead_total bigint NOT NULL,
  expired_total bigint NOT NULL, -- messages that retention removed before they were read
  read_through_ms bigint NOT NULL,
  updated_at text COLLATE "C" NOT NULL,
  PRIMARY KEY (group_id, topic, partition)
);

-- Which records were received, 32 to a row, so that none is stored twice. The row 0 of a key and word is its lock:
-- whoever claims anything under them inserts it or locks it (lib/storage/postgres/claims.ts).
CREATE TABLE claims (
  key bytea NOT NULL, -- 16 bytes of a hash of group, epoch, tenant, signal and batch or record id
  word integer NOT NULL,
  place integer NOT NULL, -- 0 for the acceptance met first, then 1, 2, …
  attempt bigint NOT NULL,
  bits bigint NOT NULL,
  hour integer NOT NULL, -- of the newest receipt, hours since 1970
  PRIMARY KEY (key, word, place)
);
-- Small, since few records are accepted twice: makes it cheap to see that there is none.
CREATE INDEX claims_of_further_acceptances ON claims (key, word) WHERE place > 0;
-- Rows lie about in the order of their hours: an index of some kilobytes tells where the old ones are.
CREATE INDEX claims_by_hour ON claims USING brin (hour);

CREATE TABLE ledger (
  group_id text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  incarnation bigint NOT NULL,
  epoch bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  signal text COLLATE "C" NOT NULL,
  stored bigint NOT NULL,
  dead bigint NOT NULL,
  late bigint NOT NULL,
  deduplicated bigint NOT NULL,
  redelivered bigint NOT NULL,
  foreign_records bigint NOT NULL,
  PRIMARY KEY (group_id, topic, partition, incarnation, epoch, tenant, signal)
);

-- What a commit sends to Kafka: gone from here once it was acknowledged.
CREATE TABLE outbox (
  sequence bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id text COLLATE "C" NOT NULL UNIQUE,
  group_id text COLLATE "C" NOT NULL,
  source_topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  topic text COLLATE "C" NOT NULL,
  key text COLLATE "C", -- base64
  value text COLLATE "C" NOT NULL
);
CREATE INDEX outbox_by_partition ON outbox (group_id, source_topic, partition, sequence);

-- Messages and records that could not be read, kept whole so that they can be looked at and replayed.
CREATE TABLE dead_letters (
  source bigint NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  idx integer NOT NULL, -- −1: the message as a whole
  group_id text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  original_key text COLLATE "C", -- base64
  original_value text COLLATE "C", -- base64
  error text COLLATE "C" NOT NULL,
  error_type text COLLATE "C" NOT NULL,
  attempts integer NOT NULL,
  dlq_timestamp text COLLATE "C" NOT NULL,
  PRIMARY KEY (source, partition, "offset", idx, group_id)
);
CREATE INDEX dead_letters_by_time ON dead_letters (dlq_timestamp, source, partition, "offset", idx, group_id);
CREATE INDEX dead_letters_by_tenant
  ON dead_letters (tenant, dlq_timestamp, source, partition, "offset", idx, group_id);

-- Raw rows. The key is the tenant, the time (nanoseconds since the epoch) and where the record lies in Kafka, so no
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
);
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
);
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
);
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
);
CREATE INDEX spans_by_trace ON spans (tenant, trace_id, time, source, partition, "offset", idx);
-- The list of traces: spans without a parent, newest first.
CREATE INDEX spans_at_root ON spans (tenant, time, source, partition, "offset", idx) WHERE parent_span_id IS NULL;
