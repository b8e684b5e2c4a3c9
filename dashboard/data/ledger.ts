// The ledger as this page reads it: all lines summed into one, and one verdict. What could not be counted is undefined,
// never 0; a verdict is never better than the server's. Pure.
import { formatNumberOf } from "./format.ts";
import { figure, isObject, type Json, list, text } from "./shapes.ts";

/** The terms of the sum, as the API names them, in the order in which they are told. */
const terms = ["foreign", "stored", "late", "dead", "deduplicated", "expired", "spilled", "waiting"] as const;
type Term = (typeof terms)[number];

export interface Ledger {
  verdict: "balanced" | "unsettled" | "unbalanced" | "unknown" | "empty";
  /** Records; undefined: not counted. */
  accepted: number | undefined;
  parts: Array<{ term: Term; records: number | undefined }>;
  /** Means nothing while it is unsettled: the edge's counts come a little later than the records. */
  difference: number | undefined;
  /** The lines that are out of balance, in words. */
  faults: string[];
}

export function parseLedger(json: unknown): Ledger | undefined {
  if (!isObject(json)) return undefined;
  const lines = list(json["lines"], (line) => line);
  if (lines === undefined) return undefined;
  const verdict = verdictOf(json, lines);
  return {
    verdict,
    accepted: sumOf(lines, "accepted"),
    // Of what there is none only the stored are told: a line of zeros hides the figure that matters.
    parts: terms
      .map((term) => ({ term, records: sumOf(lines, term) }))
      .filter(({ term, records }) => term === "stored" || records !== 0),
    difference: verdict === "unsettled" ? undefined : sumOf(lines, "difference"),
    faults: lines.filter(({ balanced }) => balanced === false).map(faultOf),
  };
}

function verdictOf({ balanced, settled }: Json, lines: readonly Json[]): Ledger["verdict"] {
  if (balanced === false) return "unbalanced";
  if (lines.length === 0 && balanced === true) return "empty";
  if (balanced === true) return "balanced";
  return settled === true ? "unknown" : "unsettled";
}

function sumOf(lines: readonly Json[], term: string): number | undefined {
  return lines.reduce<number | undefined>((sum, line) => {
    const records = figure(line[term]);
    return sum === undefined || records === undefined ? undefined : sum + records;
  }, 0);
}

function faultOf({ tenant, signal, difference }: Json): string {
  const off = figure(difference) ?? 0;
  const what =
    off > 0
      ? `${formatNumberOf(off, "accepted record")} nowhere to be found`
      : `${formatNumberOf(-off, "record")} more than were accepted`;
  return `${text(signal)} of ${text(tenant)}: ${what}`;
}
