// Bad input is a value, never an exception: what can be refused returns a Result.
import type { Reason } from "./reasons.ts";

export type Result<T, E = Rejection> = { ok: true; value: T } | { ok: false; error: E };

/**
 * Why a record (or a whole request) was refused.
 * `path` is where in the record, as in `labels.host` or `attributes.items[3]`; empty for the record itself.
 */
export interface Rejection {
  reason: Reason;
  path: string;
  message: string;
}

export const ok = <T>(value: T): { ok: true; value: T } => ({ ok: true, value });

export const reject = (reason: Reason, path: string, message: string): { ok: false; error: Rejection } => ({
  ok: false,
  error: { reason, path, message },
});
