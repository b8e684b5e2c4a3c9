// An event: a type and data of any JSON form. Fields that Weir does not know are kept as attributes.
import { z } from "zod";
import { attributesShape, collectAttributes, hasKeepableFields } from "./attributes.ts";
import { checkJsonValue, type JsonObject, type JsonValue } from "./json-value.ts";
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
import { ok, reject, type Result } from "./result.ts";

/** As it stands in envelopes and storage. */
export interface Event {
  timestamp: string;
  event_type: string;
  data: JsonValue;
  attributes?: JsonObject;
  id?: string;
  key?: string;
}

const FIELDS = new Set(["event_type", "data", "timestamp", "id", "key", "attributes"]);

/** What POST /api/v1/events takes for one record. */
export const eventInputShape = z
  .looseObject({
    event_type: nameShape,
    data: z.custom<JsonValue>((value) => value !== undefined && checkJsonValue(value, "data") === undefined),
    timestamp: timestampShape.nullish(),
    id: shortTextShape.nullish(),
    key: shortTextShape.nullish(),
    attributes: attributesShape,
  })
  .refine(hasKeepableFields(FIELDS));

/** Checks one record and brings it to the kept form. */
export function validateEvent(input: unknown, context: ValidationContext): Result<Event> {
  if (!isPlainObject(input))
    return reject("not_an_object", "", "must be an object such as {event_type, data}");
  const { event_type: eventType, data, id, key } = input;
  if (data === undefined) {
    return eventType === undefined
      ? reject("missing_field", "event_type", "is required")
      : reject("missing_field", "data", "is required (null is allowed)");
  }
  const fault =
    checkName(eventType, "event_type") ??
    checkJsonValue(data, "data") ??
    checkOptionalText(id, "id") ??
    checkOptionalText(key, "key");
  if (fault) return { ok: false, error: fault };
  const attributes = collectAttributes(input, FIELDS);
  if (!attributes.ok) return attributes;
  const timestamp = readTime(input.timestamp, context);
  if (!timestamp.ok) return timestamp;
  const event: Event = {
    timestamp: timestamp.value,
    event_type: eventType as string,
    data: data as JsonValue,
  };
  if (Object.keys(attributes.value).length > 0) event.attributes = attributes.value;
  if (typeof id === "string" && id !== "") event.id = id;
  if (typeof key === "string" && key !== "") event.key = key;
  return ok(event);
}
