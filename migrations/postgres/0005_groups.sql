-- Consumer groups: a group without a row is in epoch 0, and runs (docs/decisions/0019-epochs.md).
CREATE TABLE consumer_groups (
  name text COLLATE "C" PRIMARY KEY,
  epoch bigint NOT NULL,
  last_epoch bigint NOT NULL, -- the highest that it ever had: no number is given twice, to whichever group
  is_shown boolean NOT NULL, -- queries see what its epoch stores
  is_paused boolean NOT NULL DEFAULT false,
  start text COLLATE "C", -- JSON: where its epoch begins; NULL: as configured
  building text COLLATE "C" -- JSON: the epoch that is being built
);

-- A reader is a group in one epoch. These are stopped for good: the trigger is the fence that no commit passes. It runs
-- behind the lock of the row, and sees by then what was committed before.
CREATE TABLE stopped_readers (group_id text COLLATE "C" PRIMARY KEY);

CREATE FUNCTION fence_stopped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM stopped_readers WHERE group_id = NEW.group_id) THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER fence_stopped BEFORE INSERT OR UPDATE OF next_offset ON offsets
  FOR EACH ROW EXECUTE FUNCTION fence_stopped();

-- Of a visible source queries see what is older than this, and all where it is NULL.
ALTER TABLE sources ADD COLUMN visible_until_ms bigint;

-- A commit shows what the first epoch stores; of a later one that is shown by now, each further making of a topic, too.
CREATE FUNCTION show_sources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.is_visible := NEW.is_visible
    OR EXISTS (SELECT FROM consumer_groups WHERE epoch = NEW.epoch AND is_shown);
  RETURN NEW;
END $$;

CREATE TRIGGER show_sources BEFORE INSERT ON sources FOR EACH ROW EXECUTE FUNCTION show_sources();
