// The tables that hold the raw rows of one day. Clustered by tenant and time, newest first being the common question;
// the rest of the key is where the record lies in Kafka, so no record can be stored twice. `time` is nanoseconds since
// the epoch, attributes, labels and data are JSON, `detail` is the record as it came.

const PLACE = "tenant, time, source, partition, offset, idx";

const table = (name: string, columns: string) => `CREATE TABLE IF NOT EXISTS ${name} (
    tenant TEXT NOT NULL, time INTEGER NOT NULL, source INTEGER NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL, idx INTEGER NOT NULL, ${columns}, PRIMARY KEY (${PLACE})
  ) WITHOUT ROWID`;

const index = (name: string, of: string, rest: string) =>
  `CREATE INDEX IF NOT EXISTS ${name}_${of} ON ${name} ${rest}`;

/** `value` is NULL where it is not one number, or in `exact` alone: where a REAL may be off by its last bit, or +Inf. */
export const metricsTable = (name: string) => [
  table(name, "name TEXT NOT NULL, value REAL, exact TEXT, labels TEXT NOT NULL, kind TEXT, detail TEXT"),
  index(name, "by_name", "(tenant, name, time, source, partition, offset, idx)"),
];

export const logsTable = (name: string) => [
  table(
    name,
    `level TEXT NOT NULL, service TEXT, host TEXT, message TEXT NOT NULL, attributes TEXT NOT NULL, detail TEXT`,
  ),
  index(name, "by_service", "(tenant, service, time, source, partition, offset, idx)"),
];

export const eventsTable = (name: string) => [
  table(name, "event_type TEXT NOT NULL, id TEXT, key TEXT, data TEXT NOT NULL, attributes TEXT"),
  index(name, "by_type", "(tenant, event_type, time, source, partition, offset, idx)"),
];

/** `time` is the start, `duration` nanoseconds. */
export const spansTable = (name: string) => [
  table(
    name,
    `trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_span_id TEXT, name TEXT NOT NULL, kind TEXT NOT NULL,
    status TEXT NOT NULL, service TEXT, host TEXT, duration INTEGER NOT NULL, attributes TEXT NOT NULL,
    detail TEXT NOT NULL`,
  ),
  // Status and service at the end, so that a trace is summed up by the index alone.
  index(name, "by_trace", "(tenant, trace_id, time, source, partition, offset, idx, status, service)"),
  // The list of traces: spans without a parent, newest first.
  index(name, "at_root", `(${PLACE}) WHERE parent_span_id IS NULL`),
];
