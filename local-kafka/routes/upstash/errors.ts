/** Upstash's errors: `{result, error, status}`, with the HTTP status repeated in the body. */
import type { Context } from "hono";
import { ApiError } from "../../http/api-error.ts";
import { KafkaError } from "../../log/kafka-error.ts";

export function answerUpstashError(c: Context, error: unknown, onFault: (error: unknown) => void): Response {
  const { status, message } = toApiError(error, onFault);
  return c.json({ result: "Error", error: message, status }, status as 400);
}

function toApiError(error: unknown, onFault: (error: unknown) => void): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof KafkaError)) {
    onFault(error);
    return new ApiError(500, "Internal Server Error", { cause: error });
  }
  if (error.isOutage) return new ApiError(503, error.message, { cause: error });
  switch (error.code) {
    case "unknown_topic_or_partition":
    case "unknown_member_id":
      return new ApiError(404, error.message, { cause: error });
    case "offset_out_of_range":
    case "message_too_large":
      return new ApiError(400, error.message, { cause: error });
    default:
      return new ApiError(500, error.message, { cause: error });
  }
}
