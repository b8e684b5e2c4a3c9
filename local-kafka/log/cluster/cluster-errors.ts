/** What the cluster or the way to it says, as KafkaError. Messages name the broker and the reason, never a password. */
import { AuthenticationError, GenericError, ResponseError } from "@platformatic/kafka";
import { KafkaError, codeOfNumber } from "../kafka-error.ts";

/** For an error number in an answer. */
function brokerError(number: number, detail?: string | null): KafkaError {
  const code = codeOfNumber(number);
  if (code === undefined)
    return new KafkaError("unknown_server_error", detail ?? `the cluster answered ${number}`);
  return new KafkaError(code, detail ?? "");
}

/** Throws when an answer holds an error. */
export function check(number: number, detail?: string | null): void {
  if (number !== 0) throw brokerError(number, detail);
}

/** Why a connection could not be had. */
export function connectionError(address: string, error: unknown): KafkaError {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (!(each instanceof AuthenticationError)) continue;
    const detail = `${address} refused the SASL mechanism, user name or password`;
    return new KafkaError("sasl_authentication_failed", detail, { cause: error });
  }
  return new KafkaError("broker_not_available", `no connection to ${address}: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** The innermost reason, which is what somebody can act on. */
function reasonOf(error: unknown): string {
  let reason = error;
  while (reason instanceof Error && reason.cause instanceof Error) reason = reason.cause;
  if (reason instanceof AggregateError) reason = reason.errors[0];
  return reason instanceof Error ? reason.message : String(reason);
}

/** Why a request that was sent has no answer. */
export function requestError(address: string, error: unknown): KafkaError {
  if (error instanceof KafkaError) return error;
  const isLost =
    GenericError.isGenericError(error as Error) && (error as GenericError).code === "PLT_KFK_NETWORK";
  const code = isLost ? "network_exception" : "unknown_server_error";
  return new KafkaError(code, `${address}: ${reasonOf(error)}`, { cause: error });
}

/** The client library throws answers that hold an error; what they hold is looked at by whoever asked. */
export function answerIn(error: unknown): unknown {
  return error instanceof ResponseError ? (error["response"] as unknown) : undefined;
}
