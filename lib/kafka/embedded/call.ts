// One call to a Durable Object: ends by its deadline, and whatever goes wrong with it is a KafkaError.
import { KafkaError } from "../errors.ts";
import { fromRpcResult, type RpcResult } from "../rpc-result.ts";
import { noAnswer, systemTimer, within, type Timer } from "../timer.ts";

/** An overloaded object gets worse by being asked again at once. */
const OVERLOADED_WAIT_MS = 1_000;

/** @throws KafkaError */
export async function callObject<T>(
  what: string,
  timeoutMs: number,
  call: () => Promise<RpcResult<T>>,
  timer: Timer = systemTimer,
): Promise<T> {
  return fromRpcResult(await within(timeoutMs, guarded(what, call), () => noAnswer(what, timeoutMs), timer));
}

async function guarded<T>(what: string, call: () => Promise<RpcResult<T>>): Promise<RpcResult<T>> {
  try {
    return await call();
  } catch (error) {
    throw fromStubError(what, error);
  }
}

/**
 * What a stub throws (developers.cloudflare.com/durable-objects/best-practices/error-handling): `overloaded` where the
 * object has too much to do, `retryable` where the way to it broke, `remote` where its own code threw. In none of these
 * is it known whether the call was carried out.
 */
function fromStubError(what: string, error: unknown): KafkaError {
  const { overloaded, retryable } = (typeof error === "object" && error !== null ? error : {}) as {
    overloaded?: unknown;
    retryable?: unknown;
  };
  const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  if (overloaded === true)
    return new KafkaError("unavailable", message, { cause: error, retryAfterMs: OVERLOADED_WAIT_MS });
  return new KafkaError(retryable === true ? "unreachable" : "unavailable", message, { cause: error });
}
