// The cron's call: what it drops by the settings, what the ledger then tells, and that it never throws.
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { retireOldData, storageSize } from "../../functions/retention.ts";
import { addClientReport, discardedByClients } from "../../lib/storage/d1-client-reports.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import { ledgerEntry, partitionCommit } from "../contract/partition-commit.ts";
import { log } from "../contract/storage-case.ts";

const DAY_MS = 86_400_000;
const NOW = Date.parse("2026-11-21T10:23:00.000Z");

const lines: string[] = [];
const listen = () => {
  for (const level of ["info", "warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(line));
};

afterEach(() => {
  vi.restoreAllMocks();
  lines.length = 0;
});

describe("retention by the cron", () => {
  it("drops what is older than the settings say, and tells of it", async () => {
    const store = createD1StreamStore(env.DB);
    const logs = [7, 8].map((age, i) => ({
      tenant: "t",
      offset: i,
      index: 0,
      record: log({ timestamp: new Date(NOW - age * DAY_MS).toISOString() }),
    }));
    const id = { group: "weir-storage", topic: "logs.raw", partition: 0 };
    const ledger = [ledgerEntry("t", { stored: 2 })];
    await store.commit(partitionCommit(id, { rows: { logs }, ledger }));
    const discarded = [{ reason: "queue_overflow" as const, signal: "logs" as const, quantity: 3 }];
    await addClientReport(env.DB, "t", discarded, NOW - 91 * DAY_MS);
    await addClientReport(env.DB, "t", discarded, NOW - 90 * DAY_MS);
    listen();
    await retireOldData(env, () => NOW);
    expect(await store.ledger("weir-storage", "t")).toMatchObject([{ stored: 1, expired: 1 }]);
    expect(await discardedByClients(env.DB, "t")).toMatchObject([{ quantity: 3 }]);
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: "info", event: "day_expired", kind: "logs", day: "20261113", records: 1 },
    ]);
    expect(await storageSize(env)).toMatchObject({ maxBytes: 10_000_000_000 });
  });

  it("tells of a failure, and does not throw", async () => {
    listen();
    const broken = {
      ...env,
      DB: {
        prepare: () => {
          throw new Error("away");
        },
      },
    } as unknown as Env;
    await retireOldData(broken, () => NOW);
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([{ event: "retention_failed" }]);
  });
});
