-- What alert rules on raw values look at: of each rule and series the newest point, and the newest that violates the
-- rule. Rules, states and what is to be sent of them stay on D1.
CREATE TABLE alert_samples (
  tenant text COLLATE "C" NOT NULL,
  rule text COLLATE "C" NOT NULL,
  series text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  labels text COLLATE "C" NOT NULL, -- JSON object; names and values as text.ts writes them
  time bigint NOT NULL, -- nanoseconds since the epoch
  value double precision NOT NULL,
  violated_time bigint,
  violated_value double precision,
  updated_ms bigint NOT NULL, -- of the last commit that saw the series
  PRIMARY KEY (tenant, rule, series)
);
CREATE INDEX alert_samples_by_age ON alert_samples (updated_ms);
