// What is kept of a series for an alert rule: its newest point, and apart from it the newest that violates the rule, so
// that a spike between two judgements is not missed. No result depends on the order in which samples are merged.
import type { AlertSample } from "./storage.ts";

/** Of two points of one time the greater value is kept. */
function isNewer(time: string, value: number, thanTime: string, thanValue: number): boolean {
  const difference = BigInt(time) - BigInt(thanTime);
  return difference === 0n ? value > thanValue : difference > 0n;
}

export function mergeAlertSample(a: AlertSample, b: AlertSample): AlertSample {
  const newest = isNewer(b.time, b.value, a.time, a.value) ? b : a;
  const isViolationNewer =
    b.violatedTime !== null &&
    b.violatedValue !== null &&
    (a.violatedTime === null ||
      a.violatedValue === null ||
      isNewer(b.violatedTime, b.violatedValue, a.violatedTime, a.violatedValue));
  const { violatedTime, violatedValue } = isViolationNewer ? b : a;
  return { ...newest, violatedTime, violatedValue };
}

export const alertSampleKey = ({ tenant, rule, series }: Pick<AlertSample, "tenant" | "rule" | "series">) =>
  JSON.stringify([tenant, rule, series]);

/** One sample for each rule and series, in the order of their keys: whoever locks rows does it in one order. */
export function mergeAlertSamples(samples: readonly AlertSample[]): AlertSample[] {
  const merged = new Map<string, AlertSample>();
  for (const sample of samples) {
    const key = alertSampleKey(sample);
    const known = merged.get(key);
    merged.set(key, known ? mergeAlertSample(known, sample) : sample);
  }
  return [...merged].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, sample]) => sample);
}
