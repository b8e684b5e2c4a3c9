// Windows equal what a fold of the stored points, and of the stored orders, gives, and what was sent of them agrees: one content for each id, no
// result of what is not stored, every window that is long over told, and nothing late.
import { RANGE, readAll } from "./stored.ts";
import type { Truth } from "./truth.ts";
import type { World } from "./world.ts";

const NAME = "chaos_points";
const ORDERS = "example.order.amount";
const MINUTE_MS = 60_000;
/** As the chaos worker's WINDOWS has them. */
export const WINDOWS = "1m,5m,session:10s";
const TUMBLING: Record<string, number> = { "1m": MINUTE_MS, "5m": 5 * MINUTE_MS };
const SESSION = { id: "session:10s", gapMs: 10_000 };
const DAY_MS = 86_400_000;
/** An idle partition tells of a window this long after its end, at the latest: the clock's part of the watermark, a tick. */
const TOLD_WITHIN_MS = 90_000;
const MAX_TOLD = 5;

interface Point {
  id: string;
  ms: number;
  value: number;
}

interface Sum {
  startMs: number;
  endMs: number;
  count: number;
  sum: number;
}

interface Sent {
  id: string;
  name: string;
  series: string;
  window: string;
  labels: { id?: string };
  window_start: string;
  window_end: string;
  count?: number;
  removed?: boolean;
}

/** @returns faults */
export async function checkWindows(world: World, truth: Truth): Promise<string[]> {
  const points = await readPoints(world);
  const faults = [
    ...(await compareAll(world, NAME, points)),
    ...(await compareAll(world, ORDERS, await readOrders(world))),
  ];
  faults.push(...checkSent(points, truth, Date.now() + world.skewMs));
  for (const { topic, messages } of truth.logs)
    if (topic.endsWith(".late") && messages.length > 0)
      faults.push(`${messages.length} messages are on ${topic}`);
  return faults;
}

async function compareAll(world: World, name: string, points: readonly Point[]): Promise<string[]> {
  const faults: string[] = [];
  const check = async (window: string, wanted: readonly Sum[]) => {
    const found = compare(window, await readWindows(world, name, window), wanted);
    faults.push(...found.map((fault) => `${name} ${fault}`));
  };
  for (const [window, sizeMs] of Object.entries(TUMBLING)) await check(window, tumblingOf(points, sizeMs));
  await check(SESSION.id, sessionsOf(points));
  return faults;
}

function checkSent(points: readonly Point[], { logs }: Truth, nowMs: number): string[] {
  const faults: string[] = [];
  const stored = new Map(points.map((point) => [point.id, point]));
  const contents = new Map<string, string>();
  const told = new Set<string>();
  for (const { topic, messages } of logs) {
    if (topic !== "metrics.processed") continue;
    for (const { value } of messages) {
      for (const result of JSON.parse(value?.toString() ?? "[]") as Sent[]) {
        const text = JSON.stringify(result);
        const before = contents.get(result.id);
        if (before !== undefined && before !== text) faults.push(`${result.id} was sent with two contents`);
        contents.set(result.id, text);
        if (result.name !== NAME || result.window !== "1m") continue;
        const id = result.labels.id ?? "";
        // Each point is a series of its own, stored once.
        if (!stored.has(id) || result.count !== 1) faults.push(`sent of ${id}: count ${result.count}`);
        told.add(id);
      }
    }
  }
  const isOver = ({ ms }: Point) => Math.ceil((ms + 1) / MINUTE_MS) * MINUTE_MS < nowMs - TOLD_WITHIN_MS;
  const untold = points.filter((point) => isOver(point) && !told.has(point.id));
  if (untold.length > 0)
    faults.push(`${untold.length} windows were over and never told of, as of ${untold[0]?.id}`);
  return faults.slice(0, MAX_TOLD);
}

const startOf = (ms: number, sizeMs: number) => Math.floor(ms / sizeMs) * sizeMs;

function tumblingOf(points: readonly Point[], sizeMs: number): Sum[] {
  const sums = new Map<number, Sum>();
  for (const { ms, value } of points) {
    const startMs = startOf(ms, sizeMs);
    const sum = sums.get(startMs) ?? { startMs, endMs: startMs + sizeMs, count: 0, sum: 0 };
    sum.count++;
    sum.sum += value;
    sums.set(startMs, sum);
  }
  return [...sums.values()];
}

/** Of all series together. */
function sessionsOf(points: readonly Point[]): Sum[] {
  const sessions: Sum[] = [];
  for (const { ms, value } of points.toSorted((a, b) => a.ms - b.ms)) {
    const midnightMs = startOf(ms, DAY_MS) + DAY_MS;
    const endMs = Math.min(ms + SESSION.gapMs, midnightMs);
    const last = sessions.at(-1);
    if (last && ms <= last.endMs && startOf(last.startMs, DAY_MS) === startOf(ms, DAY_MS)) {
      last.endMs = endMs;
      last.count++;
      last.sum += value;
    } else sessions.push({ startMs: ms, endMs, count: 1, sum: value });
  }
  return sessions;
}

function compare(window: string, found: readonly Sum[], wanted: readonly Sum[]): string[] {
  const textOf = ({ startMs, endMs, count, sum }: Sum) => `${startMs}…${endMs}: ${count} of ${sum}`;
  const all = new Set(wanted.map(textOf));
  const faults = found
    .filter((one) => !all.delete(textOf(one)))
    .map((one) => `${window} ${textOf(one)} is none of the reference's`);
  for (const text of all) faults.push(`${window} ${text} is missing`);
  return faults.slice(0, MAX_TOLD);
}

async function readPoints(world: World): Promise<Point[]> {
  const rows = await readAll<{ timestamp: string; value: number; labels: { id?: string } }>(
    world,
    `/api/v1/metrics?name=${NAME}&limit=1000&${RANGE}`,
  );
  return rows.map(({ timestamp, value, labels }) => ({
    id: labels.id ?? "",
    ms: Date.parse(timestamp),
    value,
  }));
}

/** What the handler of orders gives to windows: one series, in every partition. */
async function readOrders(world: World): Promise<Point[]> {
  const rows = await readAll<{ timestamp: string; data: { order?: string; amount?: number } }>(
    world,
    `/api/v1/events?limit=1000&${RANGE}`,
  );
  return rows.flatMap(({ timestamp, data: { order, amount } }) =>
    order === undefined || amount === undefined
      ? []
      : [{ id: order, ms: Date.parse(timestamp), value: amount }],
  );
}

async function readWindows(world: World, name: string, window: string): Promise<Sum[]> {
  const rows = await readAll<{ window_start: string; window_end: string; count: number; sum: number }>(
    world,
    `/api/v1/metrics/windows?name=${name}&window=${window}&agg=count,sum&by=&limit=100&${RANGE}`,
  );
  return rows.map(({ window_start: start, window_end: end, count, sum }) => ({
    startMs: Date.parse(start),
    endMs: Date.parse(end),
    count,
    sum,
  }));
}
