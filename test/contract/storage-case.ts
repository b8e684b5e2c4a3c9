// What each case of the storage contract begins with: a store, a partition and a tenant that no other case has.
import { beforeEach } from "vitest";
import type {
  DeadLetter,
  PartitionCommit,
  PartitionId,
  Position,
  QueryStore,
  Rows,
  StreamStore,
} from "../../lib/storage/storage.ts";
import type { Event } from "../../lib/telemetry/event.ts";
import type { Log } from "../../lib/telemetry/log.ts";
import type { Metric } from "../../lib/telemetry/metric.ts";
import type { Span } from "../../lib/telemetry/span.ts";
import { partitionCommit, type CommitFields } from "./partition-commit.ts";

export interface StoreUnderTest {
  stream: StreamStore;
  query: QueryStore;
  /** Logs that the store itself refuses, whatever is tried; beside them stands one whose time is none. */
  refused: Log[];
}

export type OpenStore = () => Promise<StoreUnderTest>;

export const TIME = "2026-11-21T10:00:00.000Z";

export interface GivenStore extends StoreUnderTest {
  id: PartitionId;
  tenant: string;
  row<R extends Log | Metric | Event | Span>(
    record: R,
    offset: number,
    index?: number,
  ): { tenant: string; offset: number; index: number; record: R };
  commit(
    from: Position | undefined,
    next: Position,
    rows?: Partial<Rows>,
    more?: Omit<CommitFields, "from" | "next" | "rows">,
  ): PartitionCommit;
  deadLetter(offset: number, fields?: Partial<DeadLetter>): DeadLetter;
  /** All logs of the tenant that queries see, up to a thousand. */
  logs(): ReturnType<QueryStore["logs"]>;
}

/** @returns an object that is filled anew before each case */
export function givenStore(open: OpenStore): GivenStore {
  const given: Omit<GivenStore, keyof StoreUnderTest> = {
    id: { group: "", topic: "", partition: 1 },
    tenant: "",
    row: (record, offset, index = 0) => ({ tenant: given.tenant, offset, index, record }),
    commit: (from, next, rows = {}, more = {}) => partitionCommit(given.id, { from, next, rows, ...more }),
    deadLetter: (offset, fields = {}) => ({
      tenant: given.tenant,
      offset,
      index: -1,
      originalKey: null,
      originalValue: "eA==",
      error: "e",
      errorType: "malformed_json",
      attempts: 1,
      ...fields,
    }),
    logs: async () => await whole.query.logs({ ...PAGE, tenant: given.tenant, ...ANY_LOG }),
  };
  const whole = given as GivenStore;
  beforeEach(async () => {
    Object.assign(given, await open());
    given.tenant = `t${crypto.randomUUID()}`;
    given.id = { group: `g${crypto.randomUUID()}`, topic: `topic.${crypto.randomUUID()}`, partition: 1 };
  });
  return whole;
}

/** All that there is, in one page. */
export const PAGE = { from: undefined, to: undefined, after: undefined, limit: 1_000 };

export const ANY_LOG = { text: undefined, service: undefined, level: undefined };

export const ANY_TRACE = {
  service: undefined,
  name: undefined,
  status: undefined,
  minDuration: undefined,
};

export const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");

export function log(fields: Partial<Log> = {}): Log {
  return { timestamp: TIME, level: "INFO", message: "m", attributes: {}, ...fields };
}

export function metric(fields: Partial<Metric> = {}): Metric {
  return { timestamp: TIME, name: "cpu", value: 1, labels: {}, ...fields };
}

/** @param trace number of its trace, which is its start's second too */
export function span(trace: number, fields: Partial<Span> = {}): Span {
  return {
    timestamp: `2026-11-21T10:00:${String(trace).padStart(2, "0")}.000Z`,
    duration_ns: "1500000",
    trace_id: hex(trace + 1, 32),
    span_id: hex(trace + 1, 16),
    name: "GET /",
    kind: "server",
    status: "unset",
    attributes: {},
    detail: {},
    ...fields,
  };
}
