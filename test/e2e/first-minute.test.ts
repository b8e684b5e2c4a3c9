// A newcomer's first minute: `npm start` on nothing but Node.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTopic, text } from "../support/api.ts";
import { startWeir } from "../support/start.ts";
import { firstMinuteSuite } from "./first-minute.suite.ts";

firstMinuteSuite("npm start", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-first-minute-"));
  const weir = await startWeir({ dataDir, npm: true });
  return {
    weir,
    async readTopic(topic) {
      const partitions = await readTopic(weir.kafkaUrl!, topic);
      return partitions.map((messages) =>
        messages.map(({ key, value }) => ({ key: text(key), value: text(value) })),
      );
    },
    async close() {
      await weir.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
});
