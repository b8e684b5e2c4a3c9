// What an alert rule asks, as data: what is looked at, how it is grouped, and what it is compared with. Written by
// parse-expression.ts.

export const COMPARISONS = [">", ">=", "<", "<=", "==", "!="] as const;
export type Comparison = (typeof COMPARISONS)[number];

export const AGGREGATES = [
  "avg",
  "min",
  "max",
  "sum",
  "count",
  "last",
  "rate",
  "increase",
  "p50",
  "p90",
  "p95",
  "p99",
] as const;
export type Aggregate = (typeof AGGREGATES)[number];

/** `name{label="value",other!="value"}` */
export interface Selector {
  name: string;
  matchers: Matcher[];
}

export interface Matcher {
  name: string;
  isEqual: boolean;
  value: string;
}

/** What a rule of a tenant looks at. */
export type DataSubject =
  /** Each value as it comes. */
  | { kind: "raw"; selector: Selector }
  | { kind: "window"; aggregate: Aggregate; selector: Selector; rangeMs: number }
  /** How long nothing came, in seconds. */
  | { kind: "absent"; selector: Selector; rangeMs: number };

/** What a rule of the deployment looks at. */
export type DeploymentSubject =
  /** Messages that a group has not read yet; of all groups where none is named. */
  | { kind: "lag"; group: string | undefined }
  | { kind: "dead_letters"; rangeMs: number }
  /** Milliseconds. */
  | { kind: "produce_p99" }
  /** Milliseconds. */
  | { kind: "spill_age" };

export type Subject = DataSubject | DeploymentSubject;

export interface Expression {
  subject: Subject;
  /** One alert for each combination of these labels; undefined: one for each series. */
  by: string[] | undefined;
  /** Of `absent` it is undefined. */
  condition: { comparison: Comparison; threshold: number } | undefined;
  /** For how long it must hold; undefined where the expression does not say. */
  forMs: number | undefined;
}

export function isOfDeployment(subject: Subject): subject is DeploymentSubject {
  return !["raw", "window", "absent"].includes(subject.kind);
}

export function holds(comparison: Comparison, value: number, threshold: number): boolean {
  switch (comparison) {
    case ">":
      return value > threshold;
    case ">=":
      return value >= threshold;
    case "<":
      return value < threshold;
    case "<=":
      return value <= threshold;
    case "==":
      return value === threshold;
    case "!=":
      return value !== threshold;
  }
}

/** A label that a series does not have counts as the empty text. */
export function isMatched(matchers: readonly Matcher[], labels: Readonly<Record<string, string>>): boolean {
  return matchers.every(({ name, isEqual, value }) => (labelOf(labels, name) === value) === isEqual);
}

export function labelOf(labels: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(labels, name) ? (labels[name] ?? "") : "";
}

/** The labels by which an alert is told from others of its rule. */
export function groupLabels(
  by: readonly string[] | undefined,
  labels: Readonly<Record<string, string>>,
): Record<string, string> {
  if (by === undefined) return { ...labels };
  return Object.fromEntries(by.map((name) => [name, labelOf(labels, name)]));
}
