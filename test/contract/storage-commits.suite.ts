// A commit is all or nothing, and only from the position it was planned from.
import { beforeEach, describe, expect, it } from "vitest";
import { ledgerEntry, positionAt } from "./partition-commit.ts";
import { log, metric, TIME, type GivenStore } from "./storage-case.ts";

export function commitCases(given: GivenStore): void {
  const deadLetters = async () =>
    await given.query.deadLetters({
      tenant: given.tenant,
      topic: undefined,
      errorType: undefined,
      from: undefined,
      to: undefined,
      limit: 10,
      after: undefined,
    });

  describe("commits", () => {
    it("knows no position of a partition never read, and afterwards the committed one", async () => {
      expect(await given.stream.position(given.id)).toBeUndefined();
      expect(await given.stream.commit(given.commit(undefined, positionAt(7)))).toBe("committed");
      expect(await given.stream.position(given.id)).toEqual(positionAt(7));
      expect(await given.stream.commit(given.commit(positionAt(7), positionAt(9)))).toBe("committed");
      expect(await given.stream.position(given.id)).toEqual(positionAt(9));
    });

    it("keeps where it stands whole: incarnation, epoch and mark", async () => {
      const first = positionAt(7, { incarnation: 2, epoch: 3, mark: "7:größe" });
      expect(await given.stream.commit(given.commit(undefined, first))).toBe("committed");
      expect(await given.stream.position(given.id)).toEqual(first);
      const next = { ...first, nextOffset: 8, mark: "8:x" };
      // The mark tells the log's messages apart, not the commits: it is no part of the fence.
      expect(await given.stream.commit(given.commit({ ...first, mark: null }, next))).toBe("committed");
      expect(await given.stream.position(given.id)).toEqual(next);
      expect(await given.stream.commit(given.commit(next, positionAt(0, { epoch: 4 })))).toBe("committed");
      expect(await given.stream.position(given.id)).toEqual(positionAt(0, { epoch: 4 }));
    });

    it("refuses a batch planned from a position that has moved, and writes nothing of it", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(5)));
      const stale = [
        undefined,
        positionAt(4),
        positionAt(6),
        positionAt(5, { incarnation: 1 }),
        positionAt(5, { epoch: 1 }),
      ];
      for (const from of stale) {
        const outcome = await given.stream.commit(
          given.commit(
            from,
            positionAt(9),
            { logs: [given.row(log(), 5)] },
            { deadLetters: [given.deadLetter(6)] },
          ),
        );
        expect(outcome, JSON.stringify(from)).toBe("fenced");
      }
      expect(await given.logs()).toEqual([]);
      expect(await deadLetters()).toEqual([]);
      expect(await given.stream.position(given.id)).toEqual(positionAt(5));
    });

    it("lets one of ten concurrent commits through", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(0)));
      const attempts = Array.from({ length: 10 }, (_, i) =>
        given.stream.commit(
          given.commit(positionAt(0), positionAt(1), {
            logs: [given.row(log({ message: `attempt ${i}` }), 0)],
          }),
        ),
      );
      const outcomes = await Promise.all(attempts);
      expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === "fenced")).toHaveLength(9);
      expect(await given.logs()).toHaveLength(1);
    });

    it("keeps partitions, topics and groups apart", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(5)));
      for (const other of [
        { partition: 2 },
        { topic: `${given.id.topic}x` },
        { group: `${given.id.group}x` },
      ]) {
        expect(await given.stream.position({ ...given.id, ...other })).toBeUndefined();
      }
    });

    it("lets a group that starts anew find the rows where they are, and not store them again", async () => {
      const rows = { logs: [given.row(log(), 0), given.row(log(), 1)] };
      await given.stream.commit(
        given.commit(undefined, positionAt(2), rows, { deadLetters: [given.deadLetter(2)] }),
      );
      const other = {
        ...given.commit(undefined, positionAt(3), { logs: [...rows.logs, given.row(log(), 2)] }),
        group: `${given.id.group}x`,
      };
      expect(await given.stream.commit(other)).toBe("committed");
      expect(await given.logs()).toHaveLength(3);
    });

    it("takes 4 MB of text that is three bytes a character", async () => {
      const many = Array.from({ length: 40 }, (_, i) => given.row(log({ message: "漢".repeat(33_000) }), i));
      expect(await given.stream.commit(given.commit(undefined, positionAt(40), { logs: many }))).toBe(
        "committed",
      );
      expect(await given.logs()).toHaveLength(40);
    });

    it("counts what expired unread", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(2), {}, { expired: 2 }));
      await given.stream.commit(given.commit(positionAt(2), positionAt(5), {}, { expired: 3 }));
      expect(await given.stream.progress(given.id.group)).toMatchObject([{ nextOffset: 5, expiredTotal: 5 }]);
    });

    it("adds up what was stored", async () => {
      await given.stream.commit(
        given.commit(undefined, positionAt(2), { logs: [given.row(log(), 0), given.row(log(), 1)] }),
      );
      await given.stream.commit(
        given.commit(
          positionAt(2),
          positionAt(4),
          { metrics: [given.row(metric(), 2)] },
          { deadLetters: [given.deadLetter(3)] },
        ),
      );
      expect(await given.stream.progress(given.id.group)).toEqual([
        {
          ...given.id,
          nextOffset: 4,
          incarnation: 0,
          epoch: 0,
          recordsTotal: 3,
          deadTotal: 1,
          expiredTotal: 0,
          readThroughMs: 0,
          watermarkMs: 0,
          updatedAt: TIME,
        },
      ]);
      expect(await given.stream.progress(`${given.id.group}-other`)).toEqual([]);
      expect(await deadLetters()).toHaveLength(1);
    });

    it("keeps equal offsets of a topic made anew apart", async () => {
      await given.stream.commit(
        given.commit(undefined, positionAt(1), { logs: [given.row(log({ message: "old" }), 0)] }),
      );
      const anew = given.commit(positionAt(1), positionAt(1, { incarnation: 1 }), {
        logs: [given.row(log({ message: "new" }), 0)],
      });
      expect(await given.stream.commit(anew)).toBe("committed");
      expect((await given.logs()).map(({ record }) => record.message).toSorted()).toEqual(["new", "old"]);
    });

    it("stores 10,000 records of some 300 bytes in one commit", async () => {
      const many = Array.from({ length: 10_000 }, (_, i) =>
        given.row(
          log({ message: `line ${i} ${"ü".repeat(100)}`, attributes: { i, path: "/a/b/c" } }),
          Math.floor(i / 100),
          i % 100,
        ),
      );
      expect(await given.stream.commit(given.commit(undefined, positionAt(100), { logs: many }))).toBe(
        "committed",
      );
      const [progress] = await given.stream.progress(given.id.group);
      expect(progress?.recordsTotal).toBe(10_000);
      expect(await given.logs()).toHaveLength(1_000);
    });
  });

  describe("how far a partition was read in time", () => {
    const readThroughMs = async () => (await given.stream.progress(given.id.group))[0]?.readThroughMs;
    const received = (receivedMs: number) => ({ claims: { receivedMs } });

    it("is the newest receipt committed, and never goes back", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(1)));
      expect(await readThroughMs()).toBe(0);
      await given.stream.commit(given.commit(positionAt(1), positionAt(2), {}, received(7_000)));
      expect(await readThroughMs()).toBe(7_000);
      await given.stream.commit(given.commit(positionAt(2), positionAt(3), {}, received(6_000)));
      await given.stream.commit(given.commit(positionAt(3), positionAt(4)));
      expect(await readThroughMs()).toBe(7_000);
    });

    it("moves by a read at the log's end, from its position only", async () => {
      const at = positionAt(4, { incarnation: 1, epoch: 2, mark: "m" });
      await given.stream.commit(given.commit(undefined, at, {}, received(1_000)));
      for (const other of [{ nextOffset: 3 }, { nextOffset: 5 }, { incarnation: 0 }, { epoch: 1 }]) {
        await given.stream.readThrough(given.id, { ...at, ...other }, 9_000);
      }
      expect(await readThroughMs()).toBe(1_000);
      await given.stream.readThrough(given.id, at, 1_795_255_200_123);
      expect(await readThroughMs()).toBe(1_795_255_200_123);
      await given.stream.readThrough(given.id, at, 2_000);
      expect(await readThroughMs()).toBe(1_795_255_200_123);
      expect(await given.stream.position(given.id)).toEqual(at);
    });

    it("knows nothing of a partition never read", async () => {
      await given.stream.readThrough(given.id, positionAt(0), 9_000);
      expect(await given.stream.progress(given.id.group)).toEqual([]);
      expect(await given.stream.position(given.id)).toBeUndefined();
    });

    it.each([{ epoch: 1 }, { incarnation: 1 }])("begins anew with %o", async (anew) => {
      await given.stream.commit(given.commit(undefined, positionAt(5), {}, received(7_000)));
      await given.stream.commit(given.commit(positionAt(5), positionAt(0, anew)));
      expect(await readThroughMs()).toBe(0);
      await given.stream.commit(given.commit(positionAt(0, anew), positionAt(1, anew), {}, received(5_000)));
      expect(await readThroughMs()).toBe(5_000);
    });
  });

  describe("a rehearsal", () => {
    const everything = () =>
      given.commit(
        undefined,
        positionAt(2),
        { logs: [given.row(log(), 0)] },
        {
          deadLetters: [given.deadLetter(1)],
          claims: {
            first: [{ key: claimKey, word: 0, attempt: 0, bits: 1 }],
            receivedMs: Date.parse(TIME),
          },
          ledger: [ledgerEntry(given.tenant, { stored: 1, dead: 1 })],
          outbox: [{ id: `out/${given.tenant}`, topic: "logs.dlq", key: null, value: "{}" }],
        },
      );
    let claimKey: string;
    beforeEach(() => {
      claimKey = crypto.randomUUID().replaceAll("-", "");
    });
    const expectNothing = async () => {
      expect(await given.stream.position(given.id)).toBeUndefined();
      expect(await given.logs()).toEqual([]);
      expect(await deadLetters()).toEqual([]);
      expect(await given.stream.claimed([claimKey])).toEqual([]);
      expect(await given.stream.ledger(given.id.group, undefined)).toEqual([]);
      expect(await given.stream.outbox(given.id, 10)).toEqual([]);
    };
    /** One that no store can place in time, and what this one refuses. */
    const refused = () => [log({ timestamp: "yesterday" }), ...given.refused];

    it("of what the store would take writes nothing, and says nothing", async () => {
      await given.stream.rehearse(everything());
      await expectNothing();
      expect(await given.stream.commit(everything())).toBe("committed");
    });

    it("throws where the data is at fault, as the commit does, and neither writes any of it", async () => {
      for (const [i, bad] of refused().entries()) {
        const commit = everything();
        commit.rows.logs.push(given.row(bad, 0, 1));
        const fault = { name: "StorageError", code: "storage_rejected", retryable: false };
        await expect(given.stream.rehearse(commit), `record ${i}`).rejects.toMatchObject(fault);
        await expect(given.stream.commit(commit), `record ${i}`).rejects.toMatchObject(fault);
      }
      await expectNothing();
      expect(await given.stream.commit(everything())).toBe("committed");
    });

    it("judges the data alone, wherever the partition stands and whatever is claimed", async () => {
      await given.stream.commit(everything());
      await given.stream.rehearse(everything());
      const bad = everything();
      bad.rows.logs.push(given.row(refused()[0]!, 0, 1));
      await expect(given.stream.rehearse(bad)).rejects.toMatchObject({ code: "storage_rejected" });
      expect(await given.stream.position(given.id)).toEqual(positionAt(2));
      expect(await given.stream.outbox(given.id, 10)).toHaveLength(1);
    });
  });
}
