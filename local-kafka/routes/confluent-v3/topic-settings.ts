/** The settings of a topic by Kafka's names for them. */
import { ApiError } from "../../http/api-error.ts";
import type { Retention } from "../../log/log.ts";

/** Kafka's own default, 7 days. */
export const DEFAULT_RETENTION_MS = 7 * 24 * 60 * 60 * 1000;
export const DEFAULT_RETENTION_BYTES = -1;

/** Settings this log has, or that make no difference to it; anything else is refused rather than ignored. */
export function applyConfig(settings: Retention, name: string, value: string): void {
  switch (name) {
    case "retention.ms":
      settings.retentionMs = integerConfig(name, value);
      return;
    case "retention.bytes":
      settings.retentionBytes = integerConfig(name, value);
      return;
    case "cleanup.policy":
      if (value !== "delete") throw new ApiError(40002, `Invalid value ${value} for configuration ${name}`);
      return;
    case "compression.type":
      if (!["producer", "none", "uncompressed", "gzip", "snappy", "lz4", "zstd"].includes(value)) {
        throw new ApiError(40002, `Invalid value ${value} for configuration ${name}`);
      }
      return;
    default:
      throw new ApiError(40002, `Unknown topic config name: ${name}`);
  }
}

function integerConfig(name: string, value: string): number {
  if (!/^-?\d{1,15}$/.test(value))
    throw new ApiError(40002, `Invalid value ${value} for configuration ${name}`);
  return Number(value);
}
