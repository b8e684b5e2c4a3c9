// What a run prints: a table for people, or JSON for programs. Pure.
import { LANES, type Lane } from "./lanes.ts";
import {
  compare,
  summarise,
  type LaneFigures,
  type Ratio,
  type RoundMeasure,
  type Spread,
} from "./statistics.ts";

export type Machine = { cores: number; node: string; platform: string };

export type LaneReport = LaneFigures & { lane: string; ratio: Ratio | undefined };

export type Report = {
  machine: Machine;
  rounds: number;
  connections: number;
  recordsPerRequest: number;
  bytesPerRecord: number;
  lanes: LaneReport[];
};

export function reportLanes(measures: ReadonlyMap<Lane, readonly RoundMeasure[]>): LaneReport[] {
  return LANES.flatMap((lane) => {
    const rounds = measures.get(lane);
    if (!rounds) return [];
    const floor = LANES.find(({ name }) => name === lane.floor);
    const floorRounds = floor && measures.get(floor);
    const ratio = floorRounds ? compare(rounds, floorRounds) : undefined;
    return [{ lane: lane.name, ...summarise(rounds), ratio }];
  });
}

const HEADINGS = [
  "",
  "records/s",
  "CPU µs/record",
  "requests/s",
  "Kafka calls/s",
  "p50 ms",
  "p99 ms",
  "CPU ×floor",
  "rate ×floor",
];

export function formatReport({ machine, lanes, ...run }: Report): string {
  const rows = lanes.map((lane) => [
    lane.lane,
    withRange(lane.recordsPerSecond, 0),
    withRange(lane.cpuMicrosPerRecord, 2),
    lane.requestsPerSecond.median.toFixed(0),
    lane.callsPerSecond.median.toFixed(0),
    lane.p50Ms.median.toFixed(1),
    lane.p99Ms.median.toFixed(1),
    lane.ratio ? withRange(lane.ratio.cpu, 2) : "",
    lane.ratio ? withRange(lane.ratio.rate, 2) : "",
  ]);
  const requests = lanes.reduce((sum, lane) => sum + lane.requests, 0);
  const records = lanes.reduce((sum, lane) => sum + lane.records, 0);
  return [
    `${run.recordsPerRequest} records of ${run.bytesPerRecord} B a request and ${run.connections} connections, or one record and 128; ${run.rounds} rounds; ` +
      `${machine.cores} cores, Node ${machine.node}, ${machine.platform}`,
    "",
    ...align([HEADINGS, ...rows]),
    "",
    `All ${count(requests)} requests were answered 202, and the sink got exactly the ${count(records)} records acknowledged.`,
    "Read the ratios, not the absolutes: CPU is workerd's alone, but load, sink and worker share the cores, so rates",
    "and latencies (at saturation) say more about this machine. Median (lowest–highest) of the rounds. Reading and",
    "storing are not in it: the consumers are woken and find an empty log (a cost by the second, not by the record).",
    "",
  ].join("\n");
}

function withRange({ median, min, max }: Spread, digits: number): string {
  const text = (value: number) => (digits === 0 ? count(value) : value.toFixed(digits));
  return `${text(median)} (${text(min)}–${text(max)})`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-GB");
}

function align(rows: readonly string[][]): string[] {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
