// What windows are to get over in an isolate's 128 MB; each case is run by memory.test.ts in a process that has no more.
import { Buffer } from "node:buffer";
import { readWindows } from "../../../lib/query/windows.ts";
import { parseWindowsRequest } from "../../../lib/query/windows-request.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import type {
  PartitionCommit,
  StoredWindow,
  StreamStore,
  WindowLookup,
} from "../../../lib/storage/storage.ts";
import { decodeOtlp } from "../../../lib/telemetry/otlp/decode.ts";
import { packRecord } from "../../../lib/telemetry/otlp/pack.ts";
import { otlpRecords } from "../../../lib/telemetry/otlp/records.ts";
import { explicitBins } from "../../../lib/stream/sample-bins.ts";
import { parseWindow } from "../../../lib/windows/definition.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { emptyPartial, fold } from "../../../lib/windows/partial.ts";
import { START_MS, WindowReading } from "./window-reading.ts";

const HOUR = 3_600_000;

/** As OpenTelemetry's SDKs have them by default. */
const BOUNDS = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];

/** An hour of a cumulative histogram, exported once a minute: some 4,700 characters. */
function hourOfHistogram(startMs: number): string {
  const partial = emptyPartial(0);
  const counts = [0, ...BOUNDS].map((_, i) => i * 1_000);
  for (let minute = 0; minute < 60; minute++) {
    for (const i of counts.keys()) counts[i] = (counts[i] as number) + ((minute * 7 + i * 3) % 11);
    const count = counts.reduce((sum, one) => sum + one, 0);
    const point = { count, sum: count * 40, explicitBounds: BOUNDS, bucketCounts: counts };
    const value = { kind: "cumulative_distribution", ...explicitBins(point, "cumulative") } as const;
    fold(partial, { time: { ms: startMs + minute * 60_000, ns: 0 }, offset: minute, index: 0, value });
  }
  return encodePartial(partial);
}

const HISTOGRAM = hourOfHistogram(START_MS - HOUR);
/** A text of its own, as from a store. */
const stateOf = () => Buffer.from(HISTOGRAM).toString("latin1");

/** A store that keeps none of what it is given, and tells what it was. */
function forgetful(fields: Partial<StreamStore> = {}) {
  const { stream } = createMemoryStore();
  const seen = { windows: 0, chars: 0, sent: 0 };
  const store: StreamStore = {
    ...stream,
    async commit(commit: PartitionCommit) {
      seen.windows += commit.windows.put.length;
      for (const { state } of commit.windows.put) seen.chars += state.length;
      for (const { value } of commit.outbox) seen.sent += (JSON.parse(value) as unknown[]).length;
      const rows = { metrics: [], logs: [], events: [], traces: [] };
      return await stream.commit({ ...commit, rows, windows: { put: [], removed: [], series: [] } });
    },
    ...fields,
  };
  return { store, seen };
}

/** @param point as OTLP's JSON has it */
function otlpMessage(point: object): Uint8Array {
  const exponentialHistogram = { aggregationTemporality: 1, dataPoints: [point] };
  const metrics = [{ name: "h", exponentialHistogram }];
  const json = JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
  const request = decodeOtlp("metrics", "json", new TextEncoder().encode(json));
  if (!request.ok) throw new Error(request.error.message);
  const [placed] = otlpRecords(request.value);
  if (!placed) throw new Error("no point");
  return packRecord(placed, undefined);
}

/** Of deltas, each bucket a byte, and five values to a sketch. @param buckets of either sign */
export function wideHistograms(points: number, buckets: number): Uint8Array {
  const side = { offset: -500, bucketCounts: Array.from({ length: buckets }, () => "5") };
  const pointOf = (i: number) => ({
    timeUnixNano: `${START_MS + i}000000`,
    count: String(buckets * 10),
    scale: 0,
    positive: side,
    negative: side,
    attributes: [{ key: "host", value: { stringValue: `h${i}` } }],
  });
  return Buffer.concat(Array.from({ length: points }, (_, i) => otlpMessage(pointOf(i))));
}

async function readHistograms(points: number, buckets: number): Promise<object> {
  const { store, seen } = forgetful();
  const reading = new WindowReading("1m,5m,1h", {}, store);
  reading.keepsCommits = false;
  const message = wideHistograms(points, buckets);
  reading.log.append("metrics.raw", 0, message);
  const { state, records, reason } = await reading.drain();
  return { bytes: message.length, state, reason, records, ...seen };
}

/** @param held of the definition `1h`, one series each */
async function tellDue(held: number): Promise<object> {
  let told = 0;
  const { store, seen } = forgetful({
    windowHorizon: async () => ({
      nextDueMs: told < held ? START_MS : null,
      newestStartMs: { "1h": START_MS - HOUR },
    }),
    dueWindows: async (_, __, limit) =>
      Array.from({ length: Math.min(limit, held - told) }, (___, i) => hourOf(`s${told + i}`)),
    windows: async (_, lookups) =>
      lookups.map(({ series, fromMs }) => ({ ...hourOf(series), startMs: fromMs })),
    seriesLabels: async (places) => new Map(places.map(({ series }) => [series, { host: series }])),
  });
  const inner = store.commit;
  store.commit = async (commit) => {
    told += commit.windows.put.filter(({ window }) => window === "1h").length;
    return await inner(commit);
  };
  const reading = new WindowReading("1h", { latenessMs: 0 }, store);
  reading.keepsCommits = false;
  reading.nowMs = START_MS + HOUR;
  const { state, reason } = await reading.drain();
  return { state, reason, ...seen };
}

const hourOf = (series: string): StoredWindow => ({
  tenant: "acme",
  name: "h",
  series,
  window: "1h",
  startMs: START_MS - HOUR,
  endMs: START_MS,
  dueMs: START_MS,
  revision: 0,
  state: stateOf(),
});

/** @param hours of each of ten series */
async function readPage(hours: number): Promise<object> {
  const definition = parseWindow("1h");
  if (!definition.ok) throw new Error(definition.error);
  const query = new URLSearchParams("name=h&window=1h&limit=1000&agg=p95");
  const request = parseWindowsRequest(query, [definition.value], START_MS);
  if (!request.ok) throw new Error(request.error.message);
  const rows = Array.from({ length: hours * 10 }, (_, i) => ({
    ...hourOf(`s${i % 10}`),
    labels: { host: `h${i % 10}` },
    startMs: START_MS - (1 + Math.floor(i / 10)) * HOUR,
    endMs: START_MS - Math.floor(i / 10) * HOUR,
    state: "",
  }));
  const page = await readWindows(
    request.value,
    async ({ fromMs, toMs, limit }) =>
      rows
        .filter(({ startMs }) => startMs >= fromMs && startMs < toMs)
        .slice(0, limit)
        .map((row) => ({ ...row, state: stateOf() })),
    START_MS,
    0,
  );
  return { windows: page.ok ? page.value.windows.length : page.error.message };
}

/** One more point for each of so many series, whose hour is in the store. */
async function goOn(series: number, rounds: number): Promise<object> {
  const found = (lookups: readonly WindowLookup[]) =>
    lookups.map((lookup) => ({
      ...hourOf(lookup.series),
      startMs: lookup.fromMs,
      endMs: lookup.fromMs + HOUR,
    }));
  const { store, seen } = forgetful({
    windowHorizon: async () => ({ nextDueMs: null, newestStartMs: { "1h": START_MS } }),
    windows: async (_, lookups) => found(lookups),
  });
  const reading = new WindowReading("1h", { processedTopic: null }, store);
  reading.keepsCommits = false;
  for (let round = 0; round < rounds; round++)
    for (let from = 0; from < series; from += 100)
      reading.send(
        Array.from({ length: 100 }, (_, i) => ({ ms: START_MS + round, name: "h", host: `h${from + i}` })),
      );
  const { state, reason, records, commits } = await reading.drain();
  return { state, reason, records, commits, held: reading.owner.windows.seriesCount, ...seen };
}

export const CASES = {
  "a histogram of 2,000 wide buckets at 330 points": () => readHistograms(330, 1_000),
  "histograms of 320 wide buckets at 1,500 points": () => readHistograms(1_500, 160),
  "2,000 hours of cumulative histograms that are due": () => tellDue(2_000),
  "a page of 1,000 hours of cumulative histograms": () => readPage(250),
  "3,000 cumulative histograms that go on": () => goOn(3_000, 2),
} as const;
