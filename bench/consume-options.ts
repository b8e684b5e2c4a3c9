// The command line of the consumers' bench, read strictly.
import { parseArgs } from "node:util";
import { BenchError } from "./bench-error.ts";

export type ConsumeOptions = {
  records: number;
  series: number;
  intervalMs: number;
  /** Settings of the worker that differ from what it has of itself. */
  settings: Record<string, string>;
};

export const USAGE = `Time from waking the consumers of a full log until every record is stored and in its windows.

  --records N     metric records in the log, in envelopes of 100 (default 1000000)
  --series N      series that they belong to, ten of them to a host (default 1000)
  --interval S    seconds between two points of a series (default 1)
  --set NAME=V    a setting of the worker, as in --set ALERTING=off; may stand more than once
  --json          print JSON
  --help
`;

const MAX_RECORDS = 100_000_000;
const MAX_SERIES = 1_000_000;
/** What a record may be old: the intake's limit, and the raw tier's length. */
const MAX_SPAN_MS = 6 * 86_400_000;

/** An envelope: ten points of the ten series of one host. */
export const STEPS = 10;
export const NAMES = 10;
export const RECORDS_PER_ENVELOPE = STEPS * NAMES;

/** @throws BenchError `usage` */
export function parseConsumeOptions(
  rawArgs: string[],
): { help: true } | { help: false; json: boolean; options: ConsumeOptions } {
  const text = { type: "string" } as const;
  let values;
  try {
    ({ values } = parseArgs({
      args: rawArgs,
      options: {
        records: { ...text, default: "1000000" },
        series: { ...text, default: "1000" },
        interval: { ...text, default: "1" },
        set: { ...text, multiple: true, default: [] },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new BenchError("usage", (error as Error).message);
  }
  if (values.help) return { help: true };
  const records = multipleOf("records", values.records, RECORDS_PER_ENVELOPE, MAX_RECORDS);
  const series = multipleOf("series", values.series, NAMES, MAX_SERIES);
  const intervalMs = Number(values.interval) * 1_000;
  if (!(intervalMs >= 1 && intervalMs <= 3_600_000))
    throw new BenchError("usage", `--interval ${values.interval}: must be from 0.001 to 3600 seconds`);
  if (Math.ceil(records / series) * intervalMs > MAX_SPAN_MS)
    throw new BenchError(
      "usage",
      "the points of a series would span more than six days: fewer records, more series, or a shorter interval",
    );
  return {
    help: false,
    json: values.json,
    options: { records, series, intervalMs, settings: Object.fromEntries(values.set.map(settingOf)) },
  };
}

function multipleOf(name: string, text: string, of: number, max: number): number {
  const value = Number(text.replaceAll("_", ""));
  if (Number.isInteger(value) && value > 0 && value <= max && value % of === 0) return value;
  throw new BenchError("usage", `--${name} ${text}: must be a multiple of ${of}, at most ${max}`);
}

function settingOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new BenchError("usage", `--set ${text}: must be NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}
