// A strict reader of Prometheus' text format 0.0.4, written from its documentation
// (prometheus.io/docs/instrumenting/exposition_formats) and not from our renderer. Stricter than a scraper has to be: one
// space between tokens, HELP and TYPE before the samples, each family in one block.

export interface Family {
  name: string;
  type: string;
  help: string;
  samples: Sample[];
}

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const HELP = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\]|\\\\[\\\\n])*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
/** What Go's ParseFloat takes of what a page has reason to hold. */
const VALUE = /^(?:[+-]?Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

/** @throws Error that names the line */
export function parseExposition(page: string): Map<string, Family> {
  if (!page.endsWith("\n")) throw new Error("the last line must end with a line feed");
  const families = new Map<string, Family>();
  let current: Family | undefined;
  page
    .slice(0, -1)
    .split("\n")
    .forEach((line, i) => {
      const fail = (why: string): never => {
        throw new Error(`line ${i + 1}: ${why}: ${line}`);
      };
      const help = HELP.exec(line);
      if (help) {
        const [, name = "", text = ""] = help;
        if (families.has(name)) fail("a second HELP, or a family in two blocks");
        current = { name, type: "", help: unescape(text), samples: [] };
        families.set(name, current);
        return;
      }
      const type = TYPE.exec(line);
      if (type) {
        if (current?.name !== type[1] || current?.type !== "" || current.samples.length > 0)
          fail("TYPE must stand once, before the samples");
        if (current) current.type = type[2] ?? "";
        return;
      }
      const [, name = "", labelText, valueText = ""] = SAMPLE.exec(line) ?? fail("not a line of the format");
      if (!current || current.type === "") return fail("a sample without HELP and TYPE");
      if (!VALUE.test(valueText)) fail("not a value");
      const allowed =
        current.type === "histogram"
          ? [`${current.name}_bucket`, `${current.name}_sum`, `${current.name}_count`]
          : [current.name];
      if (!allowed.includes(name)) fail("a sample of another family");
      const labels = labelText === undefined ? {} : parseLabels(labelText, fail);
      const key = seriesKey({ name, labels, value: 0 });
      if (current.samples.some((one) => seriesKey(one) === key)) fail("the same sample twice");
      current.samples.push({ name, labels, value: numberOf(valueText) });
    });
  for (const family of families.values()) {
    if (family.type === "") throw new Error(`${family.name} has no TYPE`);
    if (family.type === "histogram") checkHistogram(family);
    if (family.type === "counter") checkCounter(family);
  }
  return families;
}

/** The value of one sample; undefined where there is none. */
export function valueOf(
  page: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const wanted = seriesKey({ name, labels, value: 0 });
  for (const { samples } of page.values()) {
    const found = samples.find((sample) => seriesKey(sample) === wanted);
    if (found) return found.value;
  }
  return undefined;
}

function parseLabels(text: string, fail: (why: string) => never): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const [, name = "", value = "", end] = LABEL.exec(text) ?? fail(`labels, from character ${at}`);
    if (Object.hasOwn(labels, name)) fail(`the label ${name} twice`);
    labels[name] = unescape(value);
    if (end === "," && LABEL.lastIndex === text.length) fail("a comma at the end");
  }
  return labels;
}

function checkCounter({ name, samples }: Family): void {
  for (const { value } of samples) if (!(value >= 0)) throw new Error(`${name}: a counter of ${value}`);
}

function checkHistogram({ name, samples }: Family): void {
  const series = new Map<string, { les: string[]; counts: number[]; count?: number; hasSum: boolean }>();
  for (const sample of samples) {
    const { le, ...labels } = sample.labels;
    const key = labelsKey(labels);
    const one = series.get(key) ?? { les: [], counts: [], hasSum: false };
    series.set(key, one);
    if (sample.name.endsWith("_bucket")) {
      if (le === undefined) throw new Error(`${name}: a bucket without le`);
      one.les.push(le);
      one.counts.push(sample.value);
    } else if (le !== undefined) throw new Error(`${sample.name} must not have le`);
    else if (sample.name.endsWith("_sum")) one.hasSum = true;
    else one.count = sample.value;
  }
  for (const [key, { les, counts, count, hasSum }] of series) {
    const bounds = les.map(numberOf);
    const rises = (all: number[], isStrict: boolean) =>
      all.every((one, i) => i === 0 || one > (all[i - 1] ?? 0) || (!isStrict && one === all[i - 1]));
    if (les.at(-1) !== "+Inf") throw new Error(`${name} ${key}: the last bucket must be +Inf`);
    if (!rises(bounds, true)) throw new Error(`${name} ${key}: bounds must rise`);
    if (!rises(counts, false)) throw new Error(`${name} ${key}: buckets must be cumulative`);
    if (count !== counts.at(-1) || !hasSum) throw new Error(`${name} ${key}: count or sum is wrong`);
  }
}

const seriesKey = ({ name, labels }: Sample) => name + labelsKey(labels);

const labelsKey = (labels: Record<string, string>) =>
  JSON.stringify(
    labels,
    Object.keys(labels).toSorted((a, b) => (a < b ? -1 : 1)),
  );

const numberOf = (text: string) => Number(text.replace("Inf", "Infinity"));

const unescape = (text: string) => text.replaceAll(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
