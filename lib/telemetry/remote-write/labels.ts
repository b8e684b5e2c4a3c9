// The labels of a series, by the rules that both versions share: a `__name__`, no name twice, none empty, no empty value
// (specification, "Labels"), and Weir's own limits. They SHOULD come sorted; the public compliance suite sends them in
// any order, so they are taken in any and kept sorted: one series has one form.
import { checkKey, joinPath } from "../json-value.ts";
import { MAX_LABEL_VALUE_BYTES, MAX_LABELS } from "../limits.ts";
import { checkName } from "../record.ts";
import { ok, reject, type Rejection, type Result } from "../result.ts";
import { checkText } from "../text.ts";

export interface Label {
  name: string;
  value: string;
}

export interface SeriesName {
  name: string;
  /** All labels but `__name__`, sorted by name. */
  labels: Record<string, string>;
}

const NAME = "__name__";

export function readSeriesName(pairs: readonly Label[]): Result<SeriesName> {
  const [given, another] = pairs.filter(({ name }) => name === NAME);
  if (!given) return reject("missing_field", NAME, "is required: it is the metric's name");
  if (another) return repeated(NAME);
  const fault = checkName(given.value, NAME);
  if (fault) return { ok: false, error: fault };
  if (pairs.length - 1 > MAX_LABELS) {
    return reject("too_many_labels", "labels", `must hold at most ${MAX_LABELS} labels beside ${NAME}`);
  }
  const others = pairs.filter((pair) => pair !== given);
  const labels = copyLabels(others, "must not be empty; leave the label out");
  return labels.ok ? ok({ name: given.value, labels: labels.value }) : labels;
}

/** An exemplar's labels: their number and length are the sender's affair, as far as the record fits a message. */
export function readExemplarLabels(pairs: readonly Label[]): Result<Record<string, string>> {
  return copyLabels(pairs, undefined);
}

function copyLabels(pairs: readonly Label[], emptyValue: string | undefined): Result<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const { name, value } of sorted(pairs)) {
    const fault = checkLabel(name, value, emptyValue);
    if (fault) return { ok: false, error: { ...fault, path: pathOf(name) } };
    if (Object.hasOwn(labels, name)) return repeated(name);
    labels[name] = value;
  }
  return ok(labels);
}

function sorted(pairs: readonly Label[]): readonly Label[] {
  const isSorted = pairs.every(({ name }, i) => i === 0 || (pairs[i - 1] as Label).name <= name);
  return isSorted ? pairs : pairs.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function repeated(name: string): Result<never> {
  return reject("forbidden_key", pathOf(name), "stands twice; a label has one value");
}

function checkLabel(name: string, value: string, emptyValue: string | undefined): Rejection | undefined {
  const fault =
    checkName(name, "") ?? checkKey(name, () => "") ?? checkText(value, "", MAX_LABEL_VALUE_BYTES);
  if (fault) return fault;
  return value === "" && emptyValue !== undefined ? reject("wrong_type", "", emptyValue).error : undefined;
}

function pathOf(name: string): string {
  return joinPath("labels", name);
}
