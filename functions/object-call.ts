// A call to a Durable Object whose failure is a value: one that is away, or late, is an answer too, and takes nothing
// else with it.
import { within } from "../lib/kafka/timer.ts";

export type Failed = { ok: false; message: string };

/** Never throws. @param call gets its stub within, since that may throw as well */
export async function callObject<T>(timeoutMs: number, call: () => Promise<T>): Promise<T | Failed> {
  try {
    return await within(timeoutMs, call(), () => new Error(`no answer within ${timeoutMs} ms`));
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}
