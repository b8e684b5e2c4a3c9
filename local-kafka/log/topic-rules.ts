/** What a topic of the file log may be called and have; Kafka's rules, and a limit of its own on partitions. */
import { KafkaError } from "./kafka-error.ts";
import type { TopicSettings } from "./log.ts";

export const MAX_PARTITIONS = 1000;

/** Throws KafkaError. */
export function checkSettings({ name, partitions, retentionMs, retentionBytes }: TopicSettings): void {
  // Kafka's rule for names.
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === "." || name === "..") {
    throw new KafkaError("invalid_topic_exception", `Topic name '${name}' is not allowed.`);
  }
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw new KafkaError(
      "invalid_partitions",
      `Number of partitions must be between 1 and ${MAX_PARTITIONS}.`,
    );
  }
  if (!Number.isSafeInteger(retentionMs) || !Number.isSafeInteger(retentionBytes)) {
    throw new KafkaError("invalid_config", "Retention must be a whole number.");
  }
}
