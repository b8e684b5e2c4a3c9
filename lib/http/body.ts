// Reads a request's body under two limits, as sent and as decompressed, both counted while reading, so that neither
// a long body nor a small one that unpacks to a large one takes memory beyond them.
import { Buffer } from "node:buffer";
import { gunzipSync, inflateSync } from "node:zlib";
import { MAX_BODY_BYTES, MAX_DECODED_BYTES } from "../telemetry/limits.ts";
import { ok, reject, type Result } from "../telemetry/result.ts";

/** What goes into Accept-Encoding when another one was sent (RFC 9110, 12.5.3). */
export const ACCEPTED_ENCODINGS = "gzip, deflate";

/** Content-Length; undefined where it is not told (chunked), or is no number. */
export function declaredBytes(headers: Headers): number | undefined {
  const declared = headers.get("content-length");
  return declared !== null && /^\d{1,15}$/.test(declared) ? Number(declared) : undefined;
}

/** In bytes, as sent and as decompressed. */
export interface BodyLimits {
  sent: number;
  decoded: number;
}

const INTAKE_LIMITS: BodyLimits = { sent: MAX_BODY_BYTES, decoded: MAX_DECODED_BYTES };

export async function readBody(request: Request, limits = INTAKE_LIMITS): Promise<Result<Uint8Array>> {
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  const decompress = decompressors.get(encoding);
  if (!decompress) {
    return reject(
      "unsupported_encoding",
      "",
      `takes ${ACCEPTED_ENCODINGS} or none, not ${encoding.slice(0, 40)}`,
    );
  }
  const sent = await readLimited(request, limits.sent);
  if (!sent.ok) return sent;
  return decompress(sent.value, limits.decoded);
}

const tooLarge = (maxBytes: number) =>
  reject(
    "body_too_large",
    "",
    maxBytes === MAX_BODY_BYTES
      ? `is larger than ${maxBytes} bytes; split the records over several requests`
      : `is larger than ${maxBytes} bytes`,
  );

async function readLimited(request: Request, maxBytes: number): Promise<Result<Uint8Array>> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > maxBytes) return tooLarge(maxBytes);
  if (!request.body) return ok(new Uint8Array());
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
      if (bytes > maxBytes) {
        await reader.cancel();
        return tooLarge(maxBytes);
      }
      chunks.push(value);
    }
  } catch {
    return reject("malformed_encoding", "", "broke off before its end");
  }
  const [only] = chunks;
  return ok(chunks.length === 1 && only ? only : Buffer.concat(chunks, bytes));
}

/** A small body's JSON; native.ts says of a large one where it breaks. */
export function parseJsonBody(bytes: Uint8Array): Result<unknown> {
  try {
    return ok(JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes)));
  } catch (error) {
    return error instanceof SyntaxError
      ? reject("malformed_json", "", "is not JSON")
      : reject("invalid_utf8", "", "is not UTF-8");
  }
}

type Decompress = (bytes: Uint8Array, maxBytes: number) => Result<Uint8Array>;

const identity = (bytes: Uint8Array): Result<Uint8Array> => ok(bytes);
const gunzip: Decompress = (bytes, maxBytes) => inflated(gunzipSync, bytes, maxBytes);
const decompressors = new Map<string, Decompress>([
  ["identity", identity],
  ["", identity],
  ["gzip", gunzip],
  ["x-gzip", gunzip],
  ["deflate", (bytes, maxBytes) => inflated(inflateSync, bytes, maxBytes)],
]);

function inflated(
  inflate: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array,
  bytes: Uint8Array,
  maxBytes: number,
): Result<Uint8Array> {
  try {
    return ok(inflate(bytes, { maxOutputLength: maxBytes }));
  } catch (error) {
    // Node's code is ERR_BUFFER_TOO_LARGE; workerd throws a bare RangeError.
    if (error instanceof RangeError) {
      return reject("body_too_large", "", `is larger than ${maxBytes} bytes when decompressed`);
    }
    return reject(
      "malformed_encoding",
      "",
      "cannot be decompressed: it is not what its Content-Encoding says",
    );
  }
}
