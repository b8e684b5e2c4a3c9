// What a run of the consumers' bench comes to. Pure.

/** How far it was at some time. */
export type Sample = { ms: number; records: number; cpuMs: number };

export type Stretch = { records: number; recordsPerSecond: number; cpuMicrosPerRecord: number };

export type ConsumeReport = {
  machine: { cores: number; node: string; platform: string };
  records: number;
  messages: number;
  bytesPerRecord: number;
  series: number;
  intervalMs: number;
  settings: Record<string, string>;
  windows: { window: string; results: number }[];
  commits: number;
  seconds: number;
  whole: Stretch;
  /** The first and the last of them, where there are enough: whether the cost grows. */
  first: Stretch | undefined;
  last: Stretch | undefined;
  logCpuMicrosPerRecord: number;
  peakMemoryMb: number | undefined;
  databaseMb: number;
};

const STRETCH = 100_000;

/** @param samples in the order of time; the first before anything was read, the last with all of it */
export function stretchesOf(
  samples: readonly Sample[],
): Pick<ConsumeReport, "seconds" | "whole" | "first" | "last"> {
  const start = samples[0]!;
  const end = samples.at(-1)!;
  const all = end.records - start.records;
  const whole = between(start, end);
  const isLong = all >= 3 * STRETCH;
  return {
    seconds: (end.ms - start.ms) / 1_000,
    whole,
    first: isLong ? between(start, at(samples, start.records + STRETCH)) : undefined,
    last: isLong ? between(at(samples, end.records - STRETCH), end) : undefined,
  };
}

/** When so many records were done, taken to be straight between two samples. */
function at(samples: readonly Sample[], records: number): Sample {
  const next = samples.findIndex((sample) => sample.records >= records);
  const after = samples[next]!;
  const before = samples[Math.max(0, next - 1)]!;
  const share =
    after.records === before.records ? 1 : (records - before.records) / (after.records - before.records);
  return {
    ms: before.ms + share * (after.ms - before.ms),
    records,
    cpuMs: before.cpuMs + share * (after.cpuMs - before.cpuMs),
  };
}

function between(from: Sample, to: Sample): Stretch {
  const records = to.records - from.records;
  return {
    records,
    recordsPerSecond: (records / (to.ms - from.ms)) * 1_000,
    cpuMicrosPerRecord: ((to.cpuMs - from.cpuMs) * 1_000) / records,
  };
}

export function formatConsumeReport(report: ConsumeReport): string {
  const { machine, whole, first, last, settings } = report;
  const changed = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const stretch = (name: string, { recordsPerSecond, cpuMicrosPerRecord }: Stretch) =>
    `${name.padEnd(22)} ${count(recordsPerSecond).padStart(10)} records/s  ${cpuMicrosPerRecord.toFixed(1).padStart(7)} CPU µs/record`;
  return [
    `${count(report.records)} metric records of ${report.bytesPerRecord} B in ${count(report.messages)} messages, ` +
      `${count(report.series)} series, a point every ${report.intervalMs / 1_000} s; ` +
      `${machine.cores} cores, Node ${machine.node}, ${machine.platform}${changed.length > 0 ? `; ${changed.join(", ")}` : ""}`,
    "",
    stretch(`all, in ${report.seconds.toFixed(1)} s`, whole),
    ...(first ? [stretch(`first ${count(first.records)}`, first)] : []),
    ...(last ? [stretch(`last ${count(last.records)}`, last)] : []),
    "",
    `${count(report.commits)} commits of ${count(report.records / report.commits)} records on average; the log itself took ${report.logCpuMicrosPerRecord.toFixed(1)} CPU µs/record.`,
    `The database has ${report.databaseMb.toFixed(0)} MB${report.peakMemoryMb === undefined ? "" : `, workerd had ${report.peakMemoryMb.toFixed(0)} MB of memory at most`}.`,
    ...report.windows.map(
      ({ window, results }) => `Windows of ${window}: ${count(results)} results hold each record once.`,
    ),
    `Every one of the ${count(report.records)} records is stored, once, and none is a dead letter.`,
    "CPU is workerd's: the consumers, D1 and the Durable Objects. Read the ratios; the log shares the cores.",
    "",
  ].join("\n");
}

const count = (value: number) => Math.round(value).toLocaleString("en-GB");
