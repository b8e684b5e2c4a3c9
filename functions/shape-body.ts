// Small JSON bodies that are checked by their zod shape (administration, client reports): all faults are told at once.
import type { z } from "zod";
import { ACCEPTED_ENCODINGS, parseJsonBody, readBody } from "../lib/http/body.ts";
import { problem } from "../lib/http/problem.ts";
import { parseShape } from "../lib/http/shape-fault.ts";
import type { Rejection, Result } from "../lib/telemetry/result.ts";
import { refuse, type AppContext } from "./request-context.ts";

/** @param empty what no body at all stands for, where it may be left out */
export async function readShape<T>(
  c: AppContext,
  shape: z.ZodType<T>,
  maxBytes: number,
  empty?: object,
): Promise<Result<T, [Rejection, ...Rejection[]]>> {
  const bytes = await readBody(c.req.raw, { sent: maxBytes, decoded: maxBytes });
  if (!bytes.ok) return only(bytes);
  if (bytes.value.length === 0 && empty !== undefined) return parseShape(shape, empty);
  const body = parseJsonBody(bytes.value);
  return body.ok ? parseShape(shape, body.value) : only(body);
}

function only({ error }: { error: Rejection }): { ok: false; error: [Rejection] } {
  return { ok: false, error: [error] };
}

/** Every fault of the body at once; the first one's reason is the answer's. */
export function refuseAll(c: AppContext, [first, ...rest]: [Rejection, ...Rejection[]]): Response {
  if (rest.length === 0) {
    const isEncoding = first.reason === "unsupported_encoding";
    return refuse(c, first, isEncoding ? { "Accept-Encoding": ACCEPTED_ENCODINGS } : {});
  }
  const errors = [first, ...rest];
  const detail = errors.map(({ path, message }) => `${path === "" ? "The body" : `\`${path}\``} ${message}.`);
  return problem(first.reason, { detail: detail.join(" "), requestId: c.get("requestId"), errors });
}
