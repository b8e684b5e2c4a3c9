/** One owner for a data directory, also when owners die without a word. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLocalKafka } from "../../local-kafka/broker.ts";
import { lockDataDir } from "../../local-kafka/log/lock-file.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "local-kafka-lock-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it("refuses a second owner while the first lives, and not after", async () => {
  const first = await openLocalKafka({ dataDir: dir });
  await expect(openLocalKafka({ dataDir: dir })).rejects.toMatchObject({
    code: "data_dir_locked",
    message: `${dir} is in use by process ${process.pid}`,
  });
  await first.close();
  await (await openLocalKafka({ dataDir: dir })).close();
  expect(await readdir(dir)).toEqual(["cluster.json", "topics"]);
});

it.each([
  ["a process that is gone", `lock.${2 ** 22 + 1}.1.x`],
  ["an earlier process with the same id", `lock.${process.pid}.1.x`],
])("takes over from %s", async (_name, stale) => {
  await writeFile(join(dir, stale), "");
  const unlock = await lockDataDir(dir);
  await expect(lockDataDir(dir)).rejects.toMatchObject({ code: "data_dir_locked" });
  await unlock();
  expect(await readdir(dir)).toEqual([]);
});

it("of many who find a stale lock, never two get it", async () => {
  let won = 0;
  for (let round = 0; round < 10; round += 1) {
    await writeFile(join(dir, `lock.${2 ** 22 + 1}.1.${round}`), "");
    const results = await Promise.allSettled(Array.from({ length: 4 }, () => lockDataDir(dir)));
    const winners = results.filter((result) => result.status === "fulfilled");
    expect(winners.length).toBeLessThanOrEqual(1);
    for (const { value: unlock } of winners) await unlock();
    won += winners.length;
  }
  expect(won).toBeGreaterThan(0);
});
