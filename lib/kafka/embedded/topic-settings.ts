// What a topic of the embedded log may be: Kafka's rules for names, and the settings that this log honours. Others
// (`compression.type`, `min.insync.replicas`) are kept and shown, and have nothing to act on here.
import { KafkaError } from "../errors.ts";
import { unsupported, type TopicSpec } from "../transport.ts";
import type { LogSettings } from "./objects.ts";

/** Kafka's own defaults (kafka.apache.org/documentation, "Topic Configs"). */
const DEFAULTS = {
  "cleanup.policy": "delete",
  "retention.ms": "604800000",
  "retention.bytes": "-1",
};

/** Each partition is an object of its own, and one call makes all those of a topic. */
const MAX_PARTITIONS = 500;

export function settingsInForce(config: Readonly<Record<string, string>>): Record<string, string> {
  return { ...DEFAULTS, ...config };
}

/** @throws KafkaError `rejected` or `unsupported` */
export function readTopicSettings({ name, partitions, config }: TopicSpec): LogSettings {
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === "." || name === "..") {
    throw new KafkaError(
      "rejected",
      "a topic's name must be 1 to 249 letters, digits, `.`, `_` or `-`, and not `.` or `..`",
    );
  }
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw new KafkaError("rejected", `topic ${name} must have 1 to ${MAX_PARTITIONS} partitions`);
  }
  const settings = settingsInForce(config);
  if (settings["cleanup.policy"] !== "delete") {
    throw unsupported("embedded", "compact topics", `give topic ${name} cleanup.policy=delete`);
  }
  return {
    retentionMs: readLimit(name, settings, "retention.ms"),
    retentionBytes: readLimit(name, settings, "retention.bytes"),
  };
}

function readLimit(topic: string, settings: Record<string, string>, name: keyof typeof DEFAULTS): number {
  const text = settings[name] ?? "";
  if (!/^(-1|\d{1,15})$/.test(text)) {
    throw new KafkaError("rejected", `topic ${topic}: ${name} must be a whole number, or -1 for no limit`);
  }
  return Number(text);
}
