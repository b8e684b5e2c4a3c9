-- What the consumers have done: a row of all time (minute −1) by reader and partition, and one for each minute of a day.
CREATE TABLE consumer_stats (
  minute INTEGER NOT NULL, -- minutes since 1970; −1: all time
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  since_ms INTEGER NOT NULL, -- of the first commit
  committed_at_ms INTEGER NOT NULL, -- of the newest
  lag_ms INTEGER NOT NULL, -- how long the oldest message of the newest commit had waited
  messages INTEGER NOT NULL,
  failed_messages INTEGER NOT NULL, -- of which at least one dead letter came
  records INTEGER NOT NULL, -- whatever became of them
  dead_letters INTEGER NOT NULL,
  commits INTEGER NOT NULL,
  busy_ms INTEGER NOT NULL, -- from fetch to commit
  -- Messages by their share of busy_ms; the buckets' bounds stand in lib/storage/consumer-stats.ts.
  processing_0 INTEGER NOT NULL,
  processing_1 INTEGER NOT NULL,
  processing_2 INTEGER NOT NULL,
  processing_3 INTEGER NOT NULL,
  processing_4 INTEGER NOT NULL,
  processing_5 INTEGER NOT NULL,
  processing_6 INTEGER NOT NULL,
  processing_7 INTEGER NOT NULL,
  processing_8 INTEGER NOT NULL,
  processing_9 INTEGER NOT NULL,
  processing_10 INTEGER NOT NULL,
  processing_11 INTEGER NOT NULL,
  processing_12 INTEGER NOT NULL,
  -- Commits by how long their oldest message had waited since its receipt.
  waiting_0 INTEGER NOT NULL,
  waiting_1 INTEGER NOT NULL,
  waiting_2 INTEGER NOT NULL,
  waiting_3 INTEGER NOT NULL,
  waiting_4 INTEGER NOT NULL,
  waiting_5 INTEGER NOT NULL,
  waiting_6 INTEGER NOT NULL,
  waiting_7 INTEGER NOT NULL,
  waiting_8 INTEGER NOT NULL,
  waiting_9 INTEGER NOT NULL,
  waiting_10 INTEGER NOT NULL,
  waiting_11 INTEGER NOT NULL,
  PRIMARY KEY (minute, group_id, topic, partition)
) WITHOUT ROWID;
