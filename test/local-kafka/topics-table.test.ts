/** The development topics are told twice, to local-kafka and to the container beside it: both must say the same. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import topics from "../../local-kafka/topics.json";

const compose = await readFile(new URL("../../local-kafka/docker-compose.yml", import.meta.url), "utf8");

it("topics.json is what contracts.md lists", () => {
  const names = ["logs", "metrics", "events", "traces"].flatMap((signal) =>
    ["raw", "processed", "dlq", "late"].map((stage) => `${signal}.${stage}`),
  );
  expect(topics).toEqual(
    [...names, "alerts"].map((name) => ({
      name,
      partitions: 3,
      retentionMs: 7 * 24 * 3_600_000,
      cleanup: "delete",
      compression: "lz4",
    })),
  );
});

it("docker-compose.yml makes the same topics", () => {
  const [, table = ""] = /<<'TOPICS'\n([\s\S]*?)\n\s*TOPICS\n/.exec(compose) ?? [];
  const listed = table.split("\n").map((line) => {
    const [name, partitions, retentionMs, cleanup, compression] = line.trim().split(" ");
    return { name, partitions: Number(partitions), retentionMs: Number(retentionMs), cleanup, compression };
  });
  expect(listed).toEqual(topics);
});

it("docker-compose.yml pins its images and publishes the ports that the README names, on loopback", () => {
  const images = [...compose.matchAll(/^\s+image: (\S+)$/gm)].map(([, image = ""]) => image);
  expect(images).toHaveLength(3);
  for (const image of images) expect(image).toMatch(/:v\d+\.\d+\.\d+$/);
  const ports = [...compose.matchAll(/^\s+- 127\.0\.0\.1:(\d+):\d+$/gm)].map(([, port = ""]) => Number(port));
  expect(ports).toEqual([18082, 19092, 19644, 8080]);
  expect(compose).not.toMatch(/^\s+- \d+:\d+$/m);
});
