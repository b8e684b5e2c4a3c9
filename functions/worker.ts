// What is deployed: the HTTP routes, the schedule, the Durable Objects.
import { logger } from "../lib/observability/logger.ts";
import { app } from "./app.ts";
import { REST, restAll } from "./consume.ts";
import { wakeAll } from "./schedule.ts";

export { AcceptanceShard } from "./objects/acceptance-shard.ts";
export { AlertOwner } from "./objects/alert-owner.ts";
export { ClusterHealth } from "./objects/cluster-health.ts";
export { EdgeCounters } from "./objects/edge-counters.ts";
export { IdempotencyKeys } from "./objects/idempotency-keys.ts";
export { PartitionConsumer } from "./objects/partition-consumer.ts";
export { PartitionLog } from "./objects/partition-log.ts";
export { QuotaBucket } from "./objects/quota-bucket.ts";
export { SeriesDirectory } from "./objects/series-directory.ts";
export { Spillway } from "./objects/spillway.ts";
export { TopicDirectory } from "./objects/topic-directory.ts";
export { TransportHost } from "./objects/transport-host.ts";

export default {
  fetch: app.fetch,
  async scheduled(controller, env) {
    try {
      await (controller.cron === REST ? restAll(env) : wakeAll(env));
    } catch (error) {
      logger.error("schedule_failed", { message: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;
