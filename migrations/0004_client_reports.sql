-- Records that agents say they threw away before sending: what nobody else can count. By day, so that it can expire.
CREATE TABLE client_reports (
  tenant TEXT NOT NULL,
  day TEXT NOT NULL, -- YYYY-MM-DD, UTC
  signal TEXT NOT NULL,
  reason TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  PRIMARY KEY (tenant, day, signal, reason)
) WITHOUT ROWID;
