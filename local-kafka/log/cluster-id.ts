/** The identity of a data directory, made once, in the form that Kafka gives its clusters. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DurableFiles } from "./durable-files.ts";

export async function loadClusterId(dataDir: string, files: DurableFiles): Promise<string> {
  const path = join(dataDir, "cluster.json");
  try {
    return (JSON.parse(await readFile(path, "utf8")) as { clusterId: string }).clusterId;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  // Kafka's form: 16 random bytes in URL-safe base64.
  const clusterId = randomBytes(16).toString("base64url");
  await files.writeWhole(path, JSON.stringify({ clusterId }));
  return clusterId;
}
