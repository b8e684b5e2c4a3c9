// A message that is a JSON object, as most loggers write them: nested objects become names with dots, lists one text.
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import { MAX_NAME_BYTES } from "../telemetry/limits.ts";
import { quoteLongIntegers } from "../telemetry/otlp/json-numbers.ts";
import { CUT, Fields, MAX_FIELDS } from "./fields.ts";
import type { Parsed } from "./parse-message.ts";
import type { Reader } from "./reader.ts";

/** Deeper objects become a text. */
const MAX_NESTING = 8;
/** Of a list or a deep object as text; cut again by bytes. */
const MAX_TEXT_CHARS = 1_100;
const MAX_TEXT_DEPTH = 32;

export function parseJsonMessage(reader: Reader): Parsed | undefined {
  const text = reader.rest().trim();
  reader.steps += text.length;
  // An exception for each line that only begins like JSON would be dear.
  if (!text.endsWith("}")) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(quoteLongIntegers(text));
  } catch {
    return undefined;
  }
  const fields = new Fields();
  addObject(fields, json as JsonObject, "", 1, reader);
  return { format: "json", fields };
}

function addObject(fields: Fields, object: JsonObject, prefix: string, depth: number, reader: Reader): void {
  for (const key in object) {
    if (fields.values.size >= MAX_FIELDS) {
      fields.isCut = true;
      return;
    }
    const value = object[key] as JsonValue;
    const name = prefix + key;
    reader.steps += name.length;
    if (value === null) continue;
    // Every name below a long one would be written out once more; and some readers take names with dots apart again.
    if (name.length > MAX_NAME_BYTES || key === "__proto__") {
      fields.isCut = true;
      continue;
    }
    if (typeof value !== "object") fields.put(name, finite(value));
    else if (Array.isArray(value) || depth >= MAX_NESTING) fields.keep(name, textOf(value));
    else addObject(fields, value, `${name}.`, depth + 1, reader);
  }
}

/** JSON.parse makes an infinity of 1e999, which JSON has no number for. */
function finite(value: string | number | boolean): string | number | boolean {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** As JSON, and no more of it than is kept. */
function textOf(value: JsonValue): string {
  let text = "";
  const write = (value: JsonValue, depth: number): void => {
    if (text.length > MAX_TEXT_CHARS) return;
    if (typeof value !== "object" || value === null) {
      text += JSON.stringify(typeof value === "string" ? value.slice(0, MAX_TEXT_CHARS) : value);
    } else if (depth > MAX_TEXT_DEPTH) text += CUT;
    else if (Array.isArray(value)) {
      text += "[";
      for (const [i, element] of value.entries()) {
        if (text.length > MAX_TEXT_CHARS) break;
        if (i > 0) text += ",";
        write(element, depth + 1);
      }
      text += "]";
    } else {
      text += "{";
      let isFirst = true;
      for (const key in value) {
        if (text.length > MAX_TEXT_CHARS) break;
        text += `${isFirst ? "" : ","}${JSON.stringify(key.slice(0, MAX_TEXT_CHARS))}:`;
        isFirst = false;
        write(value[key] as JsonValue, depth + 1);
      }
      text += "}";
    }
  };
  write(value, 1);
  return text;
}
