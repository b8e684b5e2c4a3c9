/**
 * What Karapace asks of every request: a Content-Type and an Accept that its patterns find something in, and a JSON
 * object as the body where there is one. A missing Content-Type, like application/json, means the binary format.
 */
import type { Context } from "hono";
import { ApiError } from "../../http/api-error.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import { BodyFault } from "./errors.ts";

export type Ctx = Context<{ Bindings: Bindings }>;

const KAFKA = String.raw`vnd\.kafka(?:\.(avro|json|protobuf|binary|jsonschema))?(?:\.v[12])?\+json`;
const CONTENT_TYPE = new RegExp(`application/(?:${KAFKA}|json|octet-stream)`);
const ACCEPT = new RegExp(String.raw`(?:application|\*)/(?:${KAFKA}|json|\*)`);

export interface Formats {
  /** Format of the records in the body. */
  embedded: string;
  /** Format that the Accept header names; undefined for general ones. */
  accepted: string | undefined;
}

/** Throws 415 or 406. */
export function negotiate(c: Ctx): Formats {
  const content = CONTENT_TYPE.exec(c.req.header("content-type") ?? "application/json");
  if (content === null && c.req.method === "POST") {
    throw new ApiError(415, "HTTP 415 Unsupported Media Type");
  }
  const accept = ACCEPT.exec(c.req.header("accept") ?? "*/*");
  if (content === null || accept === null) throw new ApiError(406, "HTTP 406 Not Acceptable");
  return { embedded: content[1] ?? "binary", accepted: accept[1] };
}

export type JsonObject = Record<string, unknown>;

/** The body of a request that must have one. Throws BodyFault. */
export async function readJson(c: Ctx, maxBytes: number): Promise<{ json: JsonObject; bytes: Buffer }> {
  const body = await readBody(c, maxBytes);
  // A Request cannot carry a body with GET: in-process callers put the same JSON into the query.
  const bytes =
    c.req.method === "GET" && body.byteLength === 0 ? Buffer.from(c.req.query("body") ?? "") : body;
  if (bytes.byteLength === 0) throw new BodyFault("Missing request JSON body");
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch (error) {
    throw new BodyFault("Invalid request JSON body", { cause: error });
  }
  if (!isObject(json)) throw new ApiError(400, "Malformed request");
  return { json, bytes };
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A whole number, also as a string; undefined when it is missing or null. */
export function optionalInteger(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  throw new ApiError(500, `${key} is not a valid int: ${JSON.stringify(value)}`);
}
