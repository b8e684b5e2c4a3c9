-- Blocks of rows that somebody set out to write into a store without transactions (docs/decisions/0018-intent.md).

CREATE TABLE intents (
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  token TEXT NOT NULL,
  tried_at_ms INTEGER NOT NULL,
  PRIMARY KEY (group_id, topic, partition)
) WITHOUT ROWID;

-- All that the finish commits, as JSON: a value of D1 takes 2 MB, and dead letters may come to more.
CREATE TABLE intent_parts (
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  part INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (group_id, topic, partition, part)
);

-- Claims that open intents hold.
CREATE TABLE intent_claims (
  key BLOB NOT NULL,
  word INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  bits INTEGER NOT NULL,
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  PRIMARY KEY (key, word, attempt, group_id, topic, partition)
) WITHOUT ROWID;
CREATE INDEX intent_claims_by_partition ON intent_claims (group_id, topic, partition);
