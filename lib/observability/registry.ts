// What one isolate counts, in memory: plain figures, no clock, no I/O. A wrong name or label does not compile, and throws
// where types were got around; a label's value that is not foreseen is counted as `other`.
import { addFigures, familyOf, SEPARATOR, type Counts } from "./counts.ts";
import {
  METRICS,
  OTHER,
  type CounterName,
  type HistogramName,
  type LabelSpec,
  type LabelsOf,
  type MetricName,
  type MetricSpec,
} from "./metric-names.ts";

/** A value must stand in one line of the page and be no essay. */
// oxlint-disable-next-line no-control-regex -- control characters are what it keeps out
const VALUE = /^[^\u0000-\u001f\u007f]{1,128}$/;

interface Label {
  name: string;
  spec: LabelSpec;
}

interface Known {
  family: string;
  labels: Label[];
  buckets: readonly number[];
  /** A histogram's figures before the first value. */
  zeroes: readonly number[];
}

const KNOWN = new Map<string, Known>(
  Object.entries(METRICS as Record<string, MetricSpec>).map(([name, { labels, buckets = [] }]) => [
    name,
    {
      family: familyOf(name as MetricName),
      labels: Object.entries(labels).map(([name, spec]) => ({ name, spec })),
      buckets,
      zeroes: [...buckets, Infinity, 0].map(() => 0),
    },
  ]),
);

export class Registry {
  #counts: Counts = new Map();
  /** Values seen of labels that are bounded by number; kept for the isolate's life, or the bound would be none. */
  readonly #seen = new Map<Label, Set<string>>();

  /** @throws TypeError where name, labels or amount are not what was declared: a fault in the code */
  count<N extends CounterName>(name: N, labels: LabelsOf<N>, by = 1): void {
    const known = knownMetric(name, by);
    const series = this.#series(known, labels);
    if (by > 0) addFigures(this.#counts, known.family, series, [by]);
  }

  /** @throws TypeError as `count` */
  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void {
    const known = knownMetric(name, value);
    const { family, buckets, zeroes } = known;
    const figures = [...zeroes];
    const place = buckets.findIndex((bound) => value <= bound);
    figures[place === -1 ? buckets.length : place] = 1;
    figures[buckets.length + 1] = value;
    addFigures(this.#counts, family, this.#series(known, labels), figures);
  }

  isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** What was counted since the last take; it is the caller's from now on. */
  take(): Counts {
    const counts = this.#counts;
    this.#counts = new Map();
    return counts;
  }

  #series({ family, labels }: Known, given: object): string {
    let series = "";
    for (const label of labels) {
      const value = (given as Readonly<Record<string, unknown>>)[label.name];
      if (typeof value !== "string") throw new TypeError(`${family} needs the label ${label.name}`);
      series += (series === "" ? "" : SEPARATOR) + this.#foreseen(label, value);
    }
    if (Object.keys(given).length !== labels.length)
      throw new TypeError(`${family} has no labels but those, given: ${Object.keys(given).join(", ")}`);
    return series;
  }

  #foreseen(label: Label, value: string): string {
    const { spec } = label;
    if (!("max" in spec)) return spec.includes(value) ? value : OTHER;
    let seen = this.#seen.get(label);
    if (!seen) this.#seen.set(label, (seen = new Set()));
    if (seen.has(value)) return value;
    if (seen.size >= spec.max || !VALUE.test(value)) return OTHER;
    seen.add(value);
    return value;
  }
}

function knownMetric(name: string, figure: number): Known {
  const known = KNOWN.get(name);
  if (!known) throw new TypeError(`there is no metric ${name}; declare it in metric-names.ts`);
  if (!(figure >= 0 && figure < Infinity)) throw new TypeError(`${name} cannot take ${figure}`);
  return known;
}
