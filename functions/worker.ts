export { PartitionConsumer } from "./objects/partition-consumer.ts";

export default {
  fetch: () => Response.json({ status: "healthy" }),
} satisfies ExportedHandler<Env>;
