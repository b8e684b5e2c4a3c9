// The free part of a log or an event: its `attributes`, and the fields Weir does not know, which are kept in them.
import { z } from "zod";
import { checkJsonValue, checkKey, joinPath, type JsonObject, type JsonValue } from "./json-value.ts";
import { isPlainObject } from "./record.ts";
import { ok, reject, type Result } from "./result.ts";

/** Nesting of an unknown field: it is kept inside `attributes`, one deeper than it was sent. */
const KEPT_DEPTH = 3;

/** The record's `attributes` with its unknown fields beside them, so that nothing a client sent is dropped. */
export function collectAttributes(
  input: Record<string, unknown>,
  known: ReadonlySet<string>,
): Result<JsonObject> {
  const given = input.attributes;
  let attributes: JsonObject = {};
  if (given !== undefined && given !== null) {
    if (!isPlainObject(given)) return reject("wrong_type", "attributes", "must be an object");
    const fault = checkJsonValue(given, "attributes");
    if (fault) return { ok: false, error: fault };
    attributes = given as JsonObject;
  }
  let isCopied = false;
  for (const field of Object.keys(input)) {
    if (known.has(field)) continue;
    const value = input[field];
    const path = joinPath("", field);
    const fault = checkKey(field, () => path) ?? checkJsonValue(value, path, KEPT_DEPTH);
    if (fault) return { ok: false, error: fault };
    if (Object.hasOwn(attributes, field)) {
      return reject("forbidden_key", path, "stands in the record and in its attributes; keep one of them");
    }
    if (!isCopied) attributes = { ...attributes };
    isCopied = true;
    attributes[field] = value as JsonValue;
  }
  return ok(attributes);
}

// The same rules for zod.

export const attributesShape = z
  .custom<JsonObject>((value) => isPlainObject(value) && checkJsonValue(value, "attributes") === undefined)
  .meta({ type: "object" })
  .nullish();

/** For a loose object: every field beside the `known` ones can be kept, and none stands in the attributes too. */
export function hasKeepableFields(
  known: ReadonlySet<string>,
): (record: { attributes?: JsonObject | null | undefined }) => boolean {
  return (record) =>
    Object.entries(record).every(
      ([field, value]) =>
        known.has(field) ||
        (!Object.hasOwn(record.attributes ?? {}, field) &&
          checkKey(field, () => field) === undefined &&
          checkJsonValue(value, field, KEPT_DEPTH) === undefined),
    );
}
