// Examples that other stream processors publish, with their data: our windows hold the same. What is late by the grace of an
// example is the stream's to refuse; here is what windows come to with what is let in.
import { describe, expect, it } from "vitest";
import { parseWindow, startsOf } from "../../../lib/windows/definition.ts";
import { emptyPartial, fold, type WindowPartial } from "../../../lib/windows/partial.ts";
import { resultOf } from "../../../lib/windows/result.ts";
import { mergeSessions, type Session } from "../../../lib/windows/sessions.ts";
import { sample } from "./samples.ts";

const MINUTE = 60_000;

/** Sums by window, in order of their starts. */
function sums(text: string, records: readonly (readonly [ms: number, value: number])[]) {
  const definition = parseWindow(text);
  if (!definition.ok || definition.value.kind === "session") throw new Error(text);
  const windows = new Map<number, WindowPartial>();
  for (const [ms, value] of records) {
    for (const start of startsOf(definition.value, ms)) {
      const partial = windows.get(start) ?? emptyPartial(0);
      windows.set(start, partial);
      fold(partial, sample(ms, value));
    }
  }
  const { sizeMs } = definition.value;
  return [...windows]
    .toSorted(([a], [b]) => a - b)
    .map(([start, partial]) => [start, start + sizeMs, resultOf(partial, start, start + sizeMs).sum]);
}

/** One after the other, as they come. */
class Sessions {
  readonly #gapMs: number;
  #sessions: Session[] = [];

  constructor(gapMs: number) {
    this.#gapMs = gapMs;
  }

  add(ms: number, value: number): { removed: number[] } {
    const definition = { id: "session", kind: "session", gapMs: this.#gapMs } as const;
    const { changed, removed } = mergeSessions(definition, this.#sessions, [sample(ms, value)], 0);
    const gone = new Set([...removed, ...changed.flatMap(({ from }) => from)]);
    this.#sessions = [...this.#sessions.filter((session) => !gone.has(session)), ...changed];
    return { removed: removed.map(({ startMs }) => startMs) };
  }

  /** Start, last record, and a result. */
  told(field: "count" | "sum", unitMs: number): number[][] {
    return this.#sessions
      .toSorted((a, b) => a.startMs - b.startMs)
      .map(({ startMs, endMs, partial }) => [
        startMs / unitMs,
        (endMs - this.#gapMs) / unitMs,
        resultOf(partial, startMs, endMs)[field],
      ]);
  }
}

describe("Kafka Streams", () => {
  // https://kafka.apache.org/39/documentation/streams/developer-guide/dsl-api.html#windowing-session
  it("developer guide: six records of two keys, a gap of 5 minutes; two come out of order", () => {
    const [green, blue] = [new Sessions(5 * MINUTE), new Sessions(5 * MINUTE)];
    green.add(0, 1);
    blue.add(2 * MINUTE, 1);
    green.add(6 * MINUTE, 1);
    expect(green.told("count", MINUTE)).toEqual([
      [0, 0, 1],
      [6, 6, 1],
    ]);
    expect(blue.told("count", MINUTE)).toEqual([[2, 2, 1]]);
    blue.add(11 * MINUTE, 1);
    // The first stays, and the one at 6 becomes part of it.
    expect(green.add(4 * MINUTE, 1)).toEqual({ removed: [6 * MINUTE] });
    expect(blue.add(5 * MINUTE, 1)).toEqual({ removed: [] });
    expect(green.told("count", MINUTE)).toEqual([[0, 6, 3]]);
    expect(blue.told("count", MINUTE)).toEqual([
      [2, 5, 2],
      [11, 11, 1],
    ]);
  });

  // https://kafka.apache.org/42/javadoc/org/apache/kafka/streams/kstream/SessionWindows.html
  it("SessionWindows: a gap of 5, records at 10, 12 and 20, then one at 16 that joins them all", () => {
    const sessions = new Sessions(5);
    [10, 12, 20].forEach((ms, i) => sessions.add(ms, i + 1));
    expect(sessions.told("sum", 1)).toEqual([
      [10, 12, 3],
      [20, 20, 3],
    ]);
    sessions.add(16, 4);
    expect(sessions.told("sum", 1)).toEqual([[10, 20, 10]]);
  });

  // https://kafka.apache.org/39/documentation/streams/developer-guide/dsl-api.html#windowing-hopping and #windowing-tumbling:
  // bounds count from the epoch, the lower one belongs to the window and the upper one does not.
  it("developer guide: bounds of tumbling windows of 5 s", () => {
    expect(
      sums("5s", [
        [0, 1],
        [4_999, 2],
        [5_000, 4],
        [9_999, 8],
      ]),
    ).toEqual([
      [0, 5_000, 3],
      [5_000, 10_000, 12],
    ]);
  });

  // https://kafka.apache.org/39/documentation/streams/developer-guide/dsl-api.html#window-final-results: an hour with a grace of
  // 10 minutes; ten events of 09:00 to 10:00 that come until 10:10 are one final count of 10.
  it("developer guide: a final result counts what came out of order within the grace", () => {
    const nine = Date.UTC(2026, 10, 21, 9);
    const arrivals = [5, 20, 59, 61, 40, 62, 1, 33, 58, 65, 59.9, 2, 17, 69].map(
      (minute) => nine + minute * MINUTE,
    );
    const records = arrivals.map((ms) => [ms, 1] as const);
    expect(sums("1h", records)).toEqual([
      [nine, nine + 60 * MINUTE, 10],
      [nine + 60 * MINUTE, nine + 120 * MINUTE, 4],
    ]);
  });

  // https://gist.github.com/vvcephei/bef31006cf08efed346b545af7cad56d (the figure in Confluent's article on suppression): windows
  // of 2 with a grace of 2; v4, at 11, comes when stream time is 13, and the window [10, 12) closes at 14 with 3. Seconds here.
  it("suppression: a window takes what comes before its end and grace are past", () => {
    const records = [10, 11, 12, 11].map((at) => [at * 1_000, 1] as const);
    expect(sums("2s", records)).toEqual([
      [10_000, 12_000, 3],
      [12_000, 14_000, 1],
    ]);
  });
});

describe("Flink", () => {
  const at = (minute: number) => Date.UTC(2020, 3, 15, 8, minute);
  const BIDS = [
    [5, 4],
    [7, 2],
    [9, 5],
    [11, 3],
    [13, 1],
    [17, 6],
  ].map(([minute = 0, price = 0]) => [at(minute), price] as const);

  // https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/window-tvf/#tumble
  it("TUMBLE: six bids, 10 minutes", () => {
    expect(sums("10m", BIDS)).toEqual([
      [at(0), at(10), 11],
      [at(10), at(20), 10],
    ]);
  });

  // https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/window-tvf/#hop
  it("HOP: six bids, 10 minutes every 5", () => {
    expect(sums("10m/5m", BIDS)).toEqual([
      [at(0), at(10), 11],
      [at(5), at(15), 15],
      [at(10), at(20), 10],
      [at(15), at(25), 6],
    ]);
  });

  // https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/window-tvf/#session
  it("SESSION: five bids out of order, a gap of 5 minutes; by item and together", () => {
    const bids = [
      [7, 4, "A"],
      [6, 2, "A"],
      [9, 5, "B"],
      [8, 3, "A"],
      [17, 1, "B"],
    ] as const;
    const read = (items: string) => {
      const sessions = new Sessions(5 * MINUTE);
      for (const [minute, price, item] of bids) if (items.includes(item)) sessions.add(at(minute), price);
      return sessions.told("sum", 1).map(([start = 0, last = 0, sum]) => [start, last + 5 * MINUTE, sum]);
    };
    expect(read("A")).toEqual([[at(6), at(13), 9]]);
    expect(read("B")).toEqual([
      [at(9), at(14), 5],
      [at(17), at(22), 1],
    ]);
    expect(read("AB")).toEqual([
      [at(6), at(14), 14],
      [at(17), at(22), 1],
    ]);
  });

  // https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#late-elements-considerations: a late
  // element that is let in changes a result that was told, and may join two sessions.
  it("allowed lateness: a late element joins two sessions into one", () => {
    const sessions = new Sessions(MINUTE);
    sessions.add(at(0), 1);
    sessions.add(at(2), 2);
    expect(sessions.told("count", 1)).toHaveLength(2);
    expect(sessions.add(at(1), 4)).toEqual({ removed: [at(2)] });
    expect(sessions.told("sum", 1)).toEqual([[at(0), at(2), 7]]);
  });
});
