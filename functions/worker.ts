// What is deployed: the HTTP routes, the schedule, the Durable Objects.
import { logger } from "../lib/observability/logger.ts";
import { app } from "./app.ts";
import { wakeAll } from "./consume.ts";

export { EdgeCounters } from "./objects/edge-counters.ts";
export { IdempotencyKeys } from "./objects/idempotency-keys.ts";
export { PartitionConsumer } from "./objects/partition-consumer.ts";
export { PartitionLog } from "./objects/partition-log.ts";
export { QuotaBucket } from "./objects/quota-bucket.ts";
export { SeriesDirectory } from "./objects/series-directory.ts";
export { TopicDirectory } from "./objects/topic-directory.ts";
export { TransportHost } from "./objects/transport-host.ts";

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    try {
      await wakeAll(env);
    } catch (error) {
      logger.error("schedule_failed", { message: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;
