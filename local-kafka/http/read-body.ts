/**
 * Reads a request's body, counting while it streams: more than the limit is 413 without holding it. Over TCP it reads
 * Node's own request, which also has the body that Redpanda wants with GET (the Request class forbids one).
 */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { ApiError } from "./api-error.ts";

/** What the app is handed beside a Request: Node's request when it came over TCP, nothing in-process. */
export type Bindings = Partial<HttpBindings>;

export async function readBody(c: Context<{ Bindings: Bindings }>, maxBytes: number): Promise<Buffer> {
  const declared = Number(c.req.header("content-length") ?? 0);
  if (declared > maxBytes) throw tooLarge();
  const source = (c.env as Bindings | undefined)?.incoming ?? c.req.raw.body;
  if (source === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

function tooLarge(): ApiError {
  return new ApiError(413, "HTTP 413 Payload Too Large");
}
