-- Consumer groups: a group without a row is in epoch 0, and runs (docs/decisions/0019-epochs.md).
CREATE TABLE consumer_groups (
  name TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL,
  last_epoch INTEGER NOT NULL, -- the highest that it ever had: no number is given twice, to whichever group
  is_shown INTEGER NOT NULL, -- 1: queries see what its epoch stores
  is_paused INTEGER NOT NULL DEFAULT 0,
  start TEXT, -- JSON: where its epoch begins; NULL: as configured
  building TEXT -- JSON: the epoch that is being built
) WITHOUT ROWID;

-- A reader is a group in one epoch. These are stopped for good: the trigger is the fence that no commit passes.
CREATE TABLE stopped_readers (group_id TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TRIGGER fence_stopped_insert BEFORE INSERT ON offsets
WHEN EXISTS (SELECT 1 FROM stopped_readers WHERE group_id = NEW.group_id)
BEGIN
  INSERT INTO fence (ok) VALUES (0);
END;

CREATE TRIGGER fence_stopped_update BEFORE UPDATE OF next_offset ON offsets
WHEN EXISTS (SELECT 1 FROM stopped_readers WHERE group_id = NEW.group_id)
BEGIN
  INSERT INTO fence (ok) VALUES (0);
END;

-- Of a visible source queries see what is older than this, and all where it is NULL.
ALTER TABLE sources ADD COLUMN visible_until_ms INTEGER;

-- A commit shows what the first epoch stores; of a later one that is shown by now, each further making of a topic, too.
CREATE TRIGGER show_sources AFTER INSERT ON sources
WHEN NEW.is_visible = 0 AND EXISTS (SELECT 1 FROM consumer_groups WHERE epoch = NEW.epoch AND is_shown = 1)
BEGIN
  UPDATE sources SET is_visible = 1 WHERE id = NEW.id;
END;
