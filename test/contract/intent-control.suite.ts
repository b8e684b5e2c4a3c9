// What every control store of intents must do, beside what storage.suite.ts says: one open intent for a partition, which
// holds its claims, and comes true whole or not at all.
import { beforeEach, describe, expect, it } from "vitest";
import type { Intent, IntentControl } from "../../lib/storage/intent-control.ts";
import type { Claim, PartitionId } from "../../lib/storage/storage.ts";
import { ledgerEntry, partitionCommit, positionAt, type CommitFields } from "./partition-commit.ts";

const TIME_MS = 1_795_255_200_000;

export function intentControlSuite(name: string, open: () => Promise<IntentControl>): void {
  describe(`contract of a control store: ${name}`, () => {
    let control: IntentControl;
    let id: PartitionId;
    let other: PartitionId;
    let key: string;

    beforeEach(async () => {
      control = await open();
      id = { group: `g${crypto.randomUUID()}`, topic: "logs.raw", partition: 1 };
      other = { ...id, partition: 2 };
      key = crypto.randomUUID().replaceAll("-", "");
    });

    const claim = (bits: number, attempt = 1): Claim => ({ key, word: 3, attempt, bits });
    const intent = (fields: CommitFields = {}, of = id, token = "t1"): Intent => ({
      block: {
        ...of,
        token,
        incarnation: 0,
        epoch: 0,
        fromOffset: 0,
        toOffset: 5,
        counts: { metrics: 0, logs: 7, events: 1, traces: 0 },
      },
      planHash: "hash",
      places: [
        [0, 0, 3],
        [4, 2, 5],
      ],
      commit: partitionCommit(of, { next: positionAt(5, { mark: "m" }), ...fields }),
      triedAtMs: TIME_MS,
    });
    const claiming = (first: Claim[], repeated: Claim[] = []) => ({
      claims: { first, repeated, receivedMs: TIME_MS },
    });

    it("keeps an intent as it was given, however large, until it is finished", async () => {
      const value = `naïve "quotes" \\ \u0000 日本 🚀 ${"ü".repeat(700_000)}`;
      const letter = (index: number) => ({
        tenant: "acme",
        offset: 2,
        index,
        originalKey: null,
        originalValue: "eA==",
        error: "e",
        errorType: "missing_field",
        attempts: 1,
      });
      const whole = intent({
        ...claiming([claim(1)]),
        deadLetters: [letter(0), letter(-1)],
        ledger: [ledgerEntry("acme", { stored: 8, dead: 2 })],
        outbox: [{ id: `${id.group}/1`, topic: "logs.dlq", key: null, value }],
        expired: 3,
      });
      expect(await control.openIntent(id)).toBeUndefined();
      expect(await control.begin(whole)).toBe("begun");
      expect(await control.openIntent(id)).toEqual(whole);
      expect(await control.openIntent(other)).toBeUndefined();
      // Nothing of it is true yet.
      expect(await control.position(id)).toBeUndefined();
      expect(await control.claimed([key])).toEqual([]);
      expect(await control.outbox(id, 10)).toEqual([]);
      expect(await control.ledger(id.group, undefined)).toEqual([]);

      expect(await control.finish(whole.block)).toBe("committed");
      expect(await control.openIntent(id)).toBeUndefined();
      expect(await control.position(id)).toEqual(positionAt(5, { mark: "m" }));
      expect(await control.claimed([key])).toEqual([claim(1)]);
      expect(await control.outbox(id, 10)).toEqual(whole.commit.outbox);
      expect(await control.ledger(id.group, undefined)).toMatchObject([{ stored: 8, dead: 2 }]);
      expect(await control.progress(id.group)).toMatchObject([
        { recordsTotal: 8, deadTotal: 2, expiredTotal: 3, readThroughMs: TIME_MS },
      ]);
      expect(await control.finish(whole.block)).toBe("fenced");
    });

    it("begins from the stored position alone", async () => {
      await control.commit(partitionCommit(id, { next: positionAt(4) }));
      for (const from of [
        undefined,
        positionAt(3),
        positionAt(4, { epoch: 1 }),
        positionAt(4, { incarnation: 1 }),
      ]) {
        expect(await control.begin(intent({ from }))).toBe("fenced");
      }
      expect(await control.openIntent(id)).toBeUndefined();
      expect(await control.begin(intent({ from: positionAt(4) }))).toBe("begun");
    });

    it("has one open intent for a partition, and moves it by no other way", async () => {
      expect(await control.begin(intent())).toBe("begun");
      expect(await control.begin(intent({}, id, "t2"))).toBe("fenced");
      expect(await control.commit(partitionCommit(id, {}))).toBe("fenced");
      expect(await control.finish({ ...intent().block, token: "t2" })).toBe("fenced");
      expect(await control.begin(intent({}, other, "t2"))).toBe("begun");
      expect(await control.finish(intent().block)).toBe("committed");
    });

    it("holds what an intent claims against all others, until it is finished", async () => {
      await control.commit(partitionCommit({ ...id, partition: 3 }, claiming([claim(0b1000, 9)])));
      const held = intent(claiming([claim(0b0011)], [claim(0b1000, 2)]));
      expect(await control.begin(held)).toBe("begun");
      const commit = (...args: Parameters<typeof claiming>) =>
        control.commit(partitionCommit({ ...id, partition: 4 }, claiming(...args)));
      for (const attempt of [1, 5]) {
        expect(await commit([claim(0b0110, attempt)])).toBe("conflict");
        expect(await control.begin(intent(claiming([claim(0b0110, attempt)]), other))).toBe("conflict");
      }
      expect(await commit([], [claim(0b1000, 2)])).toBe("conflict");
      expect(await commit([], [claim(0b0001, 1)])).toBe("conflict");
      // Stale and held: the position comes first.
      await control.commit(partitionCommit(other, {}));
      expect(await control.commit(partitionCommit(other, claiming([claim(1)])))).toBe("fenced");
      expect(await commit([claim(0b0100)], [claim(0b1000, 3)])).toBe("committed");
      await control.finish(held.block);
      const found = await control.claimed([key]);
      expect(found.toSorted((a, b) => a.attempt - b.attempt)).toEqual([
        claim(0b0111),
        claim(0b1000, 2),
        claim(0b1000, 3),
        claim(0b1000, 9),
      ]);
    });

    it("begins nothing that a claim forbids", async () => {
      await control.commit(partitionCommit(other, claiming([claim(1, 9)])));
      expect(await control.begin(intent(claiming([claim(1)])))).toBe("conflict");
      expect(await control.begin(intent(claiming([], [claim(1, 9)])))).toBe("conflict");
      expect(await control.openIntent(id)).toBeUndefined();
      expect(await control.begin(intent(claiming([], [claim(1)])))).toBe("begun");
    });

    it("lets go of what was given up, unless somebody tries it again", async () => {
      const begun = intent(claiming([claim(1)]));
      await control.begin(begun);
      await control.abandon({ ...begun, block: { ...begun.block, token: "t2" } });
      expect(await control.retry(begun, TIME_MS + 5)).toBe(true);
      await control.abandon(begun);
      const renewed = { ...begun, triedAtMs: TIME_MS + 5 };
      expect(await control.openIntent(id)).toEqual(renewed);
      expect(await control.begin(intent(claiming([claim(1)]), other))).toBe("conflict");
      await control.abandon(renewed);
      expect(await control.openIntent(id)).toBeUndefined();
      expect(await control.retry(begun, TIME_MS + 6)).toBe(false);
      expect(await control.finish(begun.block)).toBe("fenced");
      expect(await control.begin(intent(claiming([claim(1)]), other))).toBe("begun");
    });
  });
}
