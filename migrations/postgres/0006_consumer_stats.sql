-- What the consumers have done: a row of all time (minute −1) by reader and partition, and one for each minute of a day.
CREATE TABLE consumer_stats (
  minute bigint NOT NULL, -- minutes since 1970; −1: all time
  group_id text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  since_ms bigint NOT NULL, -- of the first commit
  committed_at_ms bigint NOT NULL, -- of the newest
  lag_ms bigint NOT NULL, -- how long the oldest message of the newest commit had waited
  messages bigint NOT NULL,
  failed_messages bigint NOT NULL, -- of which at least one dead letter came
  records bigint NOT NULL, -- whatever became of them
  dead_letters bigint NOT NULL,
  commits bigint NOT NULL,
  busy_ms bigint NOT NULL, -- from fetch to commit
  -- Messages by their share of busy_ms; the buckets' bounds stand in lib/storage/consumer-stats.ts.
  processing_0 bigint NOT NULL,
  processing_1 bigint NOT NULL,
  processing_2 bigint NOT NULL,
  processing_3 bigint NOT NULL,
  processing_4 bigint NOT NULL,
  processing_5 bigint NOT NULL,
  processing_6 bigint NOT NULL,
  processing_7 bigint NOT NULL,
  processing_8 bigint NOT NULL,
  processing_9 bigint NOT NULL,
  processing_10 bigint NOT NULL,
  processing_11 bigint NOT NULL,
  processing_12 bigint NOT NULL,
  -- Commits by how long their oldest message had waited since its receipt.
  waiting_0 bigint NOT NULL,
  waiting_1 bigint NOT NULL,
  waiting_2 bigint NOT NULL,
  waiting_3 bigint NOT NULL,
  waiting_4 bigint NOT NULL,
  waiting_5 bigint NOT NULL,
  waiting_6 bigint NOT NULL,
  waiting_7 bigint NOT NULL,
  waiting_8 bigint NOT NULL,
  waiting_9 bigint NOT NULL,
  waiting_10 bigint NOT NULL,
  waiting_11 bigint NOT NULL,
  PRIMARY KEY (minute, group_id, topic, partition)
);
