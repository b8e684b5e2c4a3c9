// The consumers' figures in memory.
import { MemoryConsumerStats } from "../../../lib/storage/memory-consumer-stats.ts";
import { consumerStatsSuite } from "../../contract/consumer-stats.suite.ts";

consumerStatsSuite("memory", async () => {
  const stats = new MemoryConsumerStats();
  return { stats, add: async (commit) => stats.apply(commit) };
});
