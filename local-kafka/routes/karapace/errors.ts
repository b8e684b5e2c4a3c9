/**
 * Karapace's errors: `{error_code, message}` in the same media type as its other answers, and plain text for a body
 * that is not JSON. Facts: src/karapace/rapu.py and kafka_rest_apis/error_codes.py.
 */
import type { Context } from "hono";
import { ApiError } from "../../http/api-error.ts";
import { JSON_V2 } from "../../http/media-type.ts";
import { KafkaError } from "../../log/kafka-error.ts";

/** Refused before the request was looked at: its answer is text. */
export class BodyFault extends Error {
  override readonly name = "BodyFault";
  readonly code = "invalid_body";
  readonly retryable = false;
}

export function answerKarapaceError(c: Context, error: unknown, onFault: (error: unknown) => void): Response {
  if (error instanceof BodyFault) return c.text(error.message, 400);
  const { code, status, message } = toApiError(error, onFault);
  const body = JSON.stringify({ error_code: code, message });
  return c.body(body, status as 400, { "content-type": JSON_V2 });
}

export function topicNotFound(topic: string, code: 40401 | 40403 = 40401): ApiError {
  return new ApiError(code, `Topic ${topic} not found`);
}

export function partitionNotFound(partition: number): ApiError {
  return new ApiError(40402, `Partition ${partition} not found`);
}

function toApiError(error: unknown, onFault: (error: unknown) => void): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof KafkaError)) {
    onFault(error);
    return new ApiError(500, "Internal server error", { cause: error });
  }
  if (error.isOutage) return new ApiError(503, "Service unavailable", { cause: error });
  switch (error.code) {
    case "unknown_topic_or_partition":
      return new ApiError(40403, "Unknown topic or partition", { cause: error });
    default:
      return new ApiError(500, `Failed: ${error.message}`, { cause: error });
  }
}
