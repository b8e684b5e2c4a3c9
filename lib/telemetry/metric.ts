// A metric sample: name, value, labels, time. Two wire forms are taken; one is kept.
import { z } from "zod";
import { doubleToBits } from "./double.ts";
import { checkJsonValue, checkKey, joinPath, type JsonObject } from "./json-value.ts";
import { MAX_LABEL_VALUE_BYTES, MAX_LABELS } from "./limits.ts";
import {
  checkName,
  checkOptionalText,
  isPlainObject,
  nameShape,
  readTime,
  shortTextShape,
  timestampShape,
  type ValidationContext,
} from "./record.ts";
import { ok, reject, type Rejection, type Result } from "./result.ts";
import { checkText } from "./text.ts";

export const METRIC_KINDS = [
  "unknown",
  "gauge",
  "counter",
  "histogram",
  "exponential_histogram",
  "gauge_histogram",
  "summary",
  "info",
  "stateset",
] as const;
/** A `counter` is monotonic; an OTLP sum that is not is a `gauge` here, and what it is stands in `detail`. */
export type MetricKind = (typeof METRIC_KINDS)[number];

/** As it stands in envelopes and storage. */
export interface Metric {
  timestamp: string;
  name: string;
  /** null: the point is not one number (a histogram). A text: what JSON's numbers cannot carry (double.ts). */
  value: number | string | null;
  labels: Record<string, string>;
  id?: string;
  kind?: MetricKind;
  /** What has no field above, whole: an OTLP point with its metric, scope and resource; a native histogram; exemplars. */
  detail?: JsonObject;
}

const labelsShape = z.record(nameShape, z.union([shortTextShape, z.number(), z.boolean()]));
const tooManyLabels = `at most ${MAX_LABELS} labels`;

const metricShape = z
  .strictObject({
    name: nameShape,
    value: z.number(),
    labels: labelsShape.nullish(),
    timestamp: timestampShape.nullish(),
    id: shortTextShape.nullish(),
  })
  .refine(({ labels }) => Object.keys(labels ?? {}).length <= MAX_LABELS, tooManyLabels);

/** The form database agents send; `database_type` and `instance_id` become labels. */
const databaseMetricShape = z
  .strictObject({
    metric_name: nameShape,
    value: z.number(),
    database_type: shortTextShape.nullish(),
    instance_id: shortTextShape.nullish(),
    tags: labelsShape.nullish(),
    timestamp: timestampShape.nullish(),
    id: shortTextShape.nullish(),
  })
  .refine(
    ({ tags, database_type, instance_id }) =>
      (typeof database_type !== "string" || !Object.hasOwn(tags ?? {}, "database_type")) &&
      (typeof instance_id !== "string" || !Object.hasOwn(tags ?? {}, "instance_id")),
    "tags must not repeat a field",
  )
  .refine(
    ({ tags, database_type, instance_id }) =>
      Object.keys(tags ?? {}).length +
        (typeof database_type === "string" ? 1 : 0) +
        (typeof instance_id === "string" ? 1 : 0) <=
      MAX_LABELS,
    tooManyLabels,
  );

/** What POST /api/v1/metrics takes for one record. */
export const metricInputShape = z.union([metricShape, databaseMetricShape]);

const FIELDS = new Set(["name", "value", "labels", "timestamp", "id"]);
/** Of the kept form: what only Weir's own decoders write. */
const KEPT_FIELDS = new Set([...FIELDS, "kind", "detail"]);
const DATABASE_FIELDS = new Set([
  "metric_name",
  "value",
  "database_type",
  "instance_id",
  "tags",
  "timestamp",
  "id",
]);

/** Checks one record of either form and brings it to the kept one. */
export function validateMetric(input: unknown, context: ValidationContext): Result<Metric> {
  if (!isPlainObject(input)) return reject("not_an_object", "", "must be an object such as {name, value}");
  const { isKept = false } = context;
  const isDatabaseForm = input.metric_name !== undefined && input.name === undefined;
  const known = isDatabaseForm ? DATABASE_FIELDS : isKept ? KEPT_FIELDS : FIELDS;
  for (const field in input) {
    if (!known.has(field)) return unknownField(field, isDatabaseForm ? "tags" : "labels");
  }
  const nameField = isDatabaseForm ? "metric_name" : "name";
  const name = input[nameField];
  const value = input.value;
  const nameFault =
    checkName(name, nameField) ??
    (isKept ? checkKeptValue(value) : checkNumber(value)) ??
    checkOptionalText(input.id, "id");
  if (nameFault) return { ok: false, error: nameFault };

  const labelsField = isDatabaseForm ? "tags" : "labels";
  const shared = isDatabaseForm ? undefined : labelsBefore(input.labels, context);
  const labels = shared ?? {};
  const labelsFault = shared
    ? undefined
    : ((isDatabaseForm ? copyInstanceLabels(input, labels) : undefined) ??
      copyLabels(input[labelsField], labelsField, labels));
  if (labelsFault) return { ok: false, error: labelsFault };
  if (context.labels && !shared && !isDatabaseForm && isPlainObject(input.labels)) {
    context.labels.input = input.labels;
    context.labels.kept = labels;
    context.labels.count = Object.keys(labels).length;
  }

  const timestamp = readTime(input.timestamp, context);
  if (!timestamp.ok) return timestamp;
  const metric: Metric = {
    timestamp: timestamp.value,
    name: name as string,
    value: value as Metric["value"],
    labels,
  };
  if (typeof input.id === "string" && input.id !== "") metric.id = input.id;
  if (isKept) {
    const { kind, detail } = input;
    const fault = checkKind(kind) ?? checkDetail(detail);
    if (fault) return { ok: false, error: fault };
    if (kind !== undefined) metric.kind = kind as MetricKind;
    if (detail !== undefined) metric.detail = detail as JsonObject;
  }
  return ok(metric);
}

function unknownField(field: string, labelsField: string): { ok: false; error: Rejection } {
  const fault = checkKey(field, () => joinPath("", field));
  if (fault) return { ok: false, error: fault };
  return reject(
    "unknown_field",
    joinPath("", field),
    `is not a field of a metric; put it into ${labelsField}`,
  );
}

function checkNumber(value: unknown): Rejection | undefined {
  if (value === undefined) return reject("missing_field", "value", "is required").error;
  if (typeof value !== "number") return reject("wrong_type", "value", "must be a number").error;
  if (!Number.isFinite(value))
    return reject("not_finite", "value", "is beyond the range of a 64-bit float").error;
  return undefined;
}

/** Also a text for what JSON's numbers cannot carry, and null for what is not one number. */
function checkKeptValue(value: unknown): Rejection | undefined {
  if (value === null) return undefined;
  if (typeof value !== "string") return checkNumber(value);
  if (doubleToBits(value) !== undefined) return undefined;
  return reject("wrong_type", "value", "must be a number, null, or one of +Inf, -Inf, NaN, stale").error;
}

function checkKind(kind: unknown): Rejection | undefined {
  if (kind === undefined || METRIC_KINDS.some((known) => known === kind)) return undefined;
  return reject("wrong_type", "kind", `must be one of ${METRIC_KINDS.join(", ")}`).error;
}

function checkDetail(detail: unknown): Rejection | undefined {
  if (detail === undefined) return undefined;
  if (!isPlainObject(detail)) return reject("wrong_type", "detail", "must be an object").error;
  return checkJsonValue(detail, "detail");
}

function copyInstanceLabels(
  input: Record<string, unknown>,
  into: Record<string, string>,
): Rejection | undefined {
  for (const field of ["database_type", "instance_id"] as const) {
    const value = input[field];
    const fault = checkOptionalText(value, field);
    if (fault) return fault;
    if (typeof value === "string") into[field] = value;
  }
  return undefined;
}

/** The kept labels of the record before, where these are the same. */
function labelsBefore(value: unknown, { labels }: ValidationContext): Record<string, string> | undefined {
  if (!labels || !isPlainObject(value)) return undefined;
  let count = 0;
  // As it comes from JSON.parse it inherits nothing that could be listed; a list of names would be made for each record.
  for (const name in value) {
    if (value[name] !== labels.input[name]) return undefined;
    count++;
  }
  return count === labels.count ? labels.kept : undefined;
}

function copyLabels(value: unknown, path: string, into: Record<string, string>): Rejection | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isPlainObject(value)) return reject("wrong_type", path, "must be an object of names and texts").error;
  const names = Object.keys(value);
  if (names.length + Object.keys(into).length > MAX_LABELS) {
    return reject("too_many_labels", path, `must hold at most ${MAX_LABELS} labels`).error;
  }
  for (const name of names) {
    const nameFault = checkName(name, "") ?? checkKey(name, () => "");
    if (nameFault) return { ...nameFault, path: joinPath(path, name).toWellFormed() };
    if (Object.hasOwn(into, name)) {
      return reject("forbidden_key", joinPath(path, name), `repeats the field ${name}`).error;
    }
    const label = value[name];
    if (typeof label === "string") {
      const fault = checkText(label, "", MAX_LABEL_VALUE_BYTES);
      // Spelled only now: most labels are in order.
      if (fault) return { ...fault, path: joinPath(path, name) };
      into[name] = label;
    } else if (typeof label === "boolean" || (typeof label === "number" && Number.isFinite(label))) {
      into[name] = String(label);
    } else {
      return reject("wrong_type", joinPath(path, name), "must be a text, a finite number or a boolean").error;
    }
  }
  return undefined;
}
