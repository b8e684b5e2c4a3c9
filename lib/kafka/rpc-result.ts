// What a Durable Object answers for Kafka: results as values, since an error thrown over RPC loses its class.
import { KafkaError, type KafkaErrorCode } from "./errors.ts";
import type { ProduceOutcome } from "./transport.ts";

export interface RpcError {
  code: KafkaErrorCode;
  message: string;
  retryAfterMs?: number;
}

export type RpcResult<T> = { ok: true; value: T } | { ok: false; error: RpcError };

/** `ProduceOutcome` as it crosses. */
export type RpcOutcome = { ok: true; partition: number; offset: number } | { ok: false; error: RpcError };

function toRpcError({ code, message, retryAfterMs }: KafkaError): RpcError {
  return { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function fromRpcError({ code, message, retryAfterMs }: RpcError): KafkaError {
  return new KafkaError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

export function toRpcOutcome(outcome: ProduceOutcome): RpcOutcome {
  return outcome.ok ? outcome : { ok: false, error: toRpcError(outcome.error) };
}

export function fromRpcOutcome(outcome: RpcOutcome): ProduceOutcome {
  return outcome.ok ? outcome : { ok: false, error: fromRpcError(outcome.error) };
}

/** Runs a call on the object's side: a KafkaError becomes a value, any other error a fault of ours that is thrown. */
export async function asRpcResult<T>(call: () => Promise<T>): Promise<RpcResult<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    if (error instanceof KafkaError) return { ok: false, error: toRpcError(error) };
    throw error;
  }
}

/** On the caller's side. @throws KafkaError */
export function fromRpcResult<T>(result: RpcResult<T>): T {
  if (result.ok) return result.value;
  throw fromRpcError(result.error);
}
