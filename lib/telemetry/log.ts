// A log record. Only `message` is required; fields that Weir does not know are kept as attributes.
import { z } from "zod";
import { attributesShape, collectAttributes, hasKeepableFields } from "./attributes.ts";
import type { JsonObject } from "./json-value.ts";
import { MAX_MESSAGE_BYTES } from "./limits.ts";
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

/** As it stands in envelopes and storage. */
export interface Log {
  timestamp: string;
  level: string;
  message: string;
  service?: string;
  host?: string;
  attributes: JsonObject;
  id?: string;
  /** What has no field above, whole: the OTLP record with its scope and resource. */
  detail?: JsonObject;
}

const FIELDS = new Set(["message", "level", "service", "host", "timestamp", "id", "attributes"]);

/** What POST /api/v1/logs takes for one record. */
export const logInputShape = z
  .looseObject({
    message: z
      .string()
      .refine(
        (text) => checkText(text, "", MAX_MESSAGE_BYTES) === undefined,
        `at most ${MAX_MESSAGE_BYTES} bytes of UTF-8`,
      ),
    level: nameShape.refine((text) => checkName(text.toUpperCase(), "level") === undefined).nullish(),
    service: shortTextShape.nullish(),
    host: shortTextShape.nullish(),
    timestamp: timestampShape.nullish(),
    id: shortTextShape.nullish(),
    attributes: attributesShape,
  })
  .refine(hasKeepableFields(FIELDS));

/** `warning`, `warn` and `WARN` are one level. */
const LEVEL_NAMES = new Map([
  ["WARNING", "WARN"],
  ["ERR", "ERROR"],
  ["CRIT", "CRITICAL"],
  ["EMERGENCY", "EMERG"],
]);

/** A level as it is kept: `warning` → `WARN`. */
export function normalizeLevel<T extends string | undefined>(level: T): string | T {
  const name = level?.toUpperCase();
  return name === undefined ? level : (LEVEL_NAMES.get(name) ?? name);
}

/** Checks one record and brings it to the kept form. */
export function validateLog(input: unknown, context: ValidationContext): Result<Log> {
  if (!isPlainObject(input)) return reject("not_an_object", "", 'must be an object such as {"message": "…"}');
  const { message, level, service, host, id } = input;
  const fault =
    checkMessage(message) ??
    (level === undefined || level === null ? undefined : checkLevel(level)) ??
    checkOptionalText(service, "service") ??
    checkOptionalText(host, "host") ??
    checkOptionalText(id, "id");
  if (fault) return { ok: false, error: fault };
  const attributes = collectAttributes(input, FIELDS);
  if (!attributes.ok) return attributes;
  const timestamp = readTime(input.timestamp, context);
  if (!timestamp.ok) return timestamp;
  const log: Log = {
    timestamp: timestamp.value,
    level: typeof level === "string" ? normalizeLevel(level) : "INFO",
    message: message as string,
    attributes: attributes.value,
  };
  if (typeof service === "string") log.service = service;
  if (typeof host === "string") log.host = host;
  if (typeof id === "string" && id !== "") log.id = id;
  return ok(log);
}

/** Both as given and as kept: some letters take more bytes in upper case, and a consumer checks the kept form. */
function checkLevel(level: unknown): Rejection | undefined {
  return (
    checkName(typeof level === "string" ? level.toUpperCase() : level, "level") ?? checkName(level, "level")
  );
}

function checkMessage(message: unknown): Rejection | undefined {
  if (message === undefined) return reject("missing_field", "message", "is required").error;
  if (typeof message !== "string") return reject("wrong_type", "message", "must be a text").error;
  return checkText(message, "message", MAX_MESSAGE_BYTES);
}
