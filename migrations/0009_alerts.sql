-- Alerts: rules, what they look at, the state of each, and what is to be sent. All of it is D1's, whatever STORAGE says,
-- but for the samples, which lie with the offsets that they are committed with.

-- Of each rule and series the newest point, and the newest that violates the rule.
CREATE TABLE alert_samples (
  tenant TEXT NOT NULL,
  rule TEXT NOT NULL,
  series TEXT NOT NULL, -- 32 hexadecimal digits
  name TEXT NOT NULL,
  labels TEXT NOT NULL, -- JSON object
  time INTEGER NOT NULL, -- nanoseconds since the epoch
  value REAL NOT NULL,
  violated_time INTEGER,
  violated_value REAL,
  updated_ms INTEGER NOT NULL, -- of the last commit that saw the series
  PRIMARY KEY (tenant, rule, series)
) WITHOUT ROWID;
CREATE INDEX alert_samples_by_age ON alert_samples (updated_ms);

CREATE TABLE alert_rules (
  tenant TEXT NOT NULL, -- `_deployment`: the operator's
  id TEXT NOT NULL,
  rule TEXT NOT NULL, -- JSON object
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL, -- id of the key
  is_deleted INTEGER NOT NULL DEFAULT 0, -- 1: its alerts are yet to be resolved, or it is one of the defaults
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE alert_silences (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  matchers TEXT NOT NULL, -- JSON array
  starts_ms INTEGER NOT NULL,
  ends_ms INTEGER NOT NULL,
  author TEXT NOT NULL,
  comment TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE alert_notifiers (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  url TEXT NOT NULL, -- may hold a secret; nobody is shown more than its host
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  sent_total INTEGER NOT NULL DEFAULT 0,
  dropped_total INTEGER NOT NULL DEFAULT 0, -- given up after the last attempt
  last_error TEXT,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- The fence: a judgement is recorded where the version is still the one that it was made from.
CREATE TABLE alert_owners (
  tenant TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) WITHOUT ROWID;

-- What is pending or firing, and what was a while ago.
CREATE TABLE alert_instances (
  tenant TEXT NOT NULL,
  rule TEXT NOT NULL,
  fingerprint TEXT NOT NULL, -- of the labels
  instance TEXT NOT NULL, -- JSON object (lib/alerts/instance.ts)
  PRIMARY KEY (tenant, rule, fingerprint)
) WITHOUT ROWID;

CREATE TABLE alert_transitions (
  id TEXT PRIMARY KEY, -- tenant/rule/fingerprint/version
  tenant TEXT NOT NULL,
  state TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  alert TEXT NOT NULL -- JSON object, as it is answered and sent
) WITHOUT ROWID;
CREATE INDEX alert_transitions_by_time ON alert_transitions (tenant, at_ms, id);

-- What a judgement sends: gone from here once it was taken.
CREATE TABLE alert_outbox (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  target TEXT NOT NULL, -- id of a notifier; `topic`: the topic of alerts
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX alert_outbox_by_target ON alert_outbox (tenant, target, due_ms);
