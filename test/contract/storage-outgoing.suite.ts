// What a commit leaves beside its rows: the ledger, what is to be sent, and the dead letters.
import { describe, expect, it } from "vitest";
import type { DeadLetterQuery, OutboxEntry } from "../../lib/storage/storage.ts";
import { ledgerEntry, partitionCommit, positionAt } from "./partition-commit.ts";
import { log, TIME, type GivenStore } from "./storage-case.ts";

export function outgoingCases(given: GivenStore): void {
  describe("the ledger", () => {
    it("sums up by partition, epoch, tenant and signal", async () => {
      const { tenant, id } = given;
      const other = `${tenant}-other`;
      const counts = { stored: 1, dead: 2, late: 3, deduplicated: 4, redelivered: 5, foreign: 6 };
      const big = { stored: 2 ** 40 };
      const entries = [
        ledgerEntry(tenant, counts),
        ledgerEntry(tenant, { signal: "traces", dead: 7 }),
        ledgerEntry(other, { stored: 9 }),
      ];
      await given.stream.commit(given.commit(undefined, positionAt(1), {}, { ledger: entries }));
      const more = [ledgerEntry(tenant, { ...counts, ...big }), ledgerEntry(other, { late: 1 })];
      await given.stream.commit(given.commit(positionAt(1), positionAt(2), {}, { ledger: more }));
      const anew = positionAt(0, { incarnation: 1, epoch: 2 });
      const last = { ledger: [ledgerEntry(tenant, { stored: 5 })] };
      await given.stream.commit(given.commit(positionAt(2), anew, {}, last));
      await given.stream.commit(partitionCommit({ ...id, partition: 2 }, last));

      const of = { ...id, incarnation: 0, epoch: 0, expired: 0 };
      const logs = { stored: 2 ** 40 + 1, dead: 4, late: 6, deduplicated: 8, redelivered: 10, foreign: 12 };
      const mine = [
        { ...of, ...ledgerEntry(tenant, logs) },
        { ...of, ...ledgerEntry(tenant, { signal: "traces", dead: 7 }) },
        { ...of, incarnation: 1, epoch: 2, ...ledgerEntry(tenant, { stored: 5 }) },
        { ...of, partition: 2, ...ledgerEntry(tenant, { stored: 5 }) },
      ];
      const others = [{ ...of, ...ledgerEntry(other, { stored: 9, late: 1 }) }];
      expect(await given.stream.ledger(id.group, tenant)).toEqual(mine);
      expect(await given.stream.ledger(id.group.slice(0, -1), tenant)).toEqual(mine);
      expect(await given.stream.ledger(id.group, other)).toEqual(others);
      expect(await given.stream.ledger(id.group, undefined)).toEqual(
        expect.arrayContaining([...mine, ...others]),
      );
      expect(await given.stream.ledger(`${id.group}x`, tenant)).toEqual([]);
      expect(await given.stream.ledger(id.group, `${tenant}-nobody`)).toEqual([]);
    });

    it("takes nothing of a commit that is fenced", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(5)));
      const ledger = [ledgerEntry(given.tenant, { stored: 1 })];
      const stale = given.commit(undefined, positionAt(6), {}, { ledger });
      expect(await given.stream.commit(stale)).toBe("fenced");
      expect(await given.stream.ledger(given.id.group, undefined)).toEqual([]);
    });
  });

  describe("what is to be sent", () => {
    const entry = (n: number, fields: Partial<OutboxEntry> = {}): OutboxEntry => ({
      id: `${given.id.group}/${n}`,
      topic: "logs.dlq",
      key: null,
      value: `{"n":${n}}`,
      ...fields,
    });

    it("is there once its commit is, whole and in its order, until it was sent", async () => {
      const entries = [
        entry(3, { key: "AAH/", value: '{"text":"naïve \\u0000 日本 🚀"}' }),
        entry(1, { topic: "metrics.dlq" }),
        entry(2),
      ];
      expect(await given.stream.outbox(given.id, 10)).toEqual([]);
      const first = given.commit(undefined, positionAt(1), {}, { outbox: entries });
      expect(await given.stream.commit(first)).toBe("committed");
      const second = given.commit(positionAt(1), positionAt(2), {}, { outbox: [entry(0)] });
      expect(await given.stream.commit(second)).toBe("committed");
      expect(await given.stream.outbox(given.id, 10)).toEqual([...entries, entry(0)]);
      expect(await given.stream.outbox(given.id, 2)).toEqual(entries.slice(0, 2));
      await given.stream.sent(given.id, [entry(3).id, entry(2).id, "unknown"]);
      expect(await given.stream.outbox(given.id, 10)).toEqual([entry(1, { topic: "metrics.dlq" }), entry(0)]);
      await given.stream.sent(given.id, []);
      await given.stream.sent(given.id, [entry(1).id, entry(0).id]);
      expect(await given.stream.outbox(given.id, 10)).toEqual([]);
    });

    it("is told without what goes to some topics", async () => {
      const outbox = [0, 1, 2, 3, 4, 5].map((n) => entry(n, { topic: ["a", "b", "c"][n % 3] as string }));
      await given.stream.commit(given.commit(undefined, positionAt(1), {}, { outbox }));
      const ids = async (limit: number, except: string[]) =>
        (await given.stream.outbox(given.id, limit, except)).map(({ id }) =>
          outbox.findIndex((one) => one.id === id),
        );
      expect(await ids(10, [])).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await ids(10, ["b"])).toEqual([0, 2, 3, 5]);
      expect(await ids(3, ["a", "x"])).toEqual([1, 2, 4]);
      expect(await ids(1, ["a", "b"])).toEqual([2]);
      expect(await ids(10, ["a", "b", "c"])).toEqual([]);
    });

    it("is a partition's own", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(1), {}, { outbox: [entry(1)] }));
      const others = [
        { ...given.id, partition: 2 },
        { ...given.id, topic: `${given.id.topic}x` },
        { ...given.id, group: `${given.id.group}x` },
      ];
      for (const other of others) {
        expect(await given.stream.outbox(other, 10)).toEqual([]);
        await given.stream.sent(other, [entry(1).id]);
      }
      expect(await given.stream.outbox(given.id, 10)).toEqual([entry(1)]);
    });

    it("stands once under its id, as it was at first", async () => {
      const outbox = [entry(1), entry(2)];
      await given.stream.commit(given.commit(undefined, positionAt(1), {}, { outbox }));
      const again = { outbox: [entry(2, { value: "other" }), entry(3)] };
      expect(await given.stream.commit(given.commit(positionAt(1), positionAt(2), {}, again))).toBe(
        "committed",
      );
      expect(await given.stream.outbox(given.id, 10)).toEqual([entry(1), entry(2), entry(3)]);
    });

    it("comes to an end in pages, however large it is", async () => {
      // 9 MB: a store may give less than it is asked for, as long as it gives something.
      const value = "x".repeat(300_000);
      for (let i = 0; i < 3; i++) {
        const outbox = Array.from({ length: 10 }, (_, n) => entry(10 * i + n, { value }));
        const from = i === 0 ? undefined : positionAt(i);
        await given.stream.commit(given.commit(from, positionAt(i + 1), {}, { outbox }));
      }
      const seen: string[] = [];
      for (let reads = 0; reads < 40; reads++) {
        const found = await given.stream.outbox(given.id, 1_000);
        if (found.length === 0) break;
        seen.push(...found.map(({ id }) => id));
        await given.stream.sent(
          given.id,
          found.map(({ id }) => id),
        );
      }
      expect(seen).toEqual(Array.from({ length: 30 }, (_, n) => entry(n).id));
    });

    it("is not there where its commit is fenced", async () => {
      await given.stream.commit(given.commit(undefined, positionAt(5)));
      const stale = given.commit(undefined, positionAt(6), {}, { outbox: [entry(1)] });
      expect(await given.stream.commit(stale)).toBe("fenced");
      expect(await given.stream.outbox(given.id, 10)).toEqual([]);
    });
  });

  describe("dead letters", () => {
    const list = async (query: Partial<DeadLetterQuery> = {}) =>
      await given.query.deadLetters({
        tenant: given.tenant,
        topic: undefined,
        errorType: undefined,
        from: undefined,
        to: undefined,
        limit: 100,
        after: undefined,
        ...query,
      });
    const idOf = (offset: number, index = -1) =>
      `${given.id.group}/${given.id.topic}/0/${given.id.partition}/${offset}/${index}`;
    const minute = (n: number) => `2026-11-21T10:${String(n).padStart(2, "0")}:00.000Z`;

    it("come back whole by their id, and without their value in lists", async () => {
      const full = given.deadLetter(7, {
        index: 3,
        originalKey: "AAH/",
        originalValue: "eyJhIjoxfQ==",
        error: "naïve \u0000 'quotes' 日本",
        errorType: "missing_field",
        attempts: 3,
      });
      const bare = given.deadLetter(8, { originalValue: null });
      const next = positionAt(9, { incarnation: 2 });
      const deadLetters = [full, bare];
      await given.stream.commit(given.commit(undefined, next, { logs: [] }, { deadLetters }));
      const { group, topic, partition } = given.id;
      const { originalValue, ...rest } = full;
      const kept = { ...rest, group, topic, partition, incarnation: 2, deadAt: TIME, replays: 0 };
      const id = `${group}/${topic}/2/${partition}/7/3`;
      const { originalValue: _, ...restOfBare } = bare;
      const bareId = `${group}/${topic}/2/${partition}/8/-1`;
      expect(await list()).toEqual([
        { ...kept, ...restOfBare, id: bareId },
        { ...kept, id },
      ]);
      expect(await given.query.deadLetter(id, given.tenant)).toEqual({ ...kept, id, originalValue });
      expect(await given.query.deadLetter(bareId, undefined)).toMatchObject({ originalValue: null });
    });

    it("are found by their id also where the group's name holds what parts an id", async () => {
      given.id = { ...given.id, group: `${given.id.group}/a b/1` };
      const deadLetters = [given.deadLetter(0)];
      await given.stream.commit(given.commit(undefined, positionAt(1), {}, { deadLetters }));
      const [found] = await list();
      expect(found?.id).toBe(idOf(0));
      expect(await given.query.deadLetter(idOf(0), given.tenant)).toMatchObject({ group: given.id.group });
    });

    it("are not there under an id that nobody has", async () => {
      const deadLetters = [given.deadLetter(0)];
      await given.stream.commit(given.commit(undefined, positionAt(1), {}, { deadLetters }));
      const ids = [idOf(1), idOf(0, 0), `x${idOf(0)}`, `${idOf(0)}x`, "", "/", "a/b/c/d/e/f"];
      for (const id of [...ids, `${given.id.group}/${given.id.topic}/0/1/${"9".repeat(30)}/0`]) {
        expect(await given.query.deadLetter(id, undefined), id).toBeUndefined();
        expect(await list({ after: id }), id).toEqual([]);
      }
    });

    it("come in pages, newest first, stable while more die", async () => {
      const total = 23;
      const byMinute = Array.from({ length: total }, (_, i) => given.deadLetter(i));
      for (let from = 0, i = 0; from < total; from += 5, i++) {
        const next = positionAt(Math.min(from + 5, total));
        const deadLetters = byMinute.slice(from, from + 5);
        await given.stream.commit(
          given.commit(
            from === 0 ? undefined : positionAt(from),
            next,
            {},
            {
              deadLetters,
              committedAtMs: Date.parse(minute(i)),
            },
          ),
        );
      }
      const seen: number[] = [];
      let found = await list({ limit: 4 });
      for (let pages = 0; found.length > 0; pages++) {
        expect(found.length).toBeLessThanOrEqual(4);
        seen.push(...found.map(({ offset }) => offset));
        const later = given.commit(
          positionAt(total + pages),
          positionAt(total + pages + 1),
          {},
          {
            deadLetters: [given.deadLetter(total + pages)],
            committedAtMs: Date.parse(minute(30)),
          },
        );
        expect(await given.stream.commit(later)).toBe("committed");
        found = await list({ limit: 4, after: found.at(-1)!.id });
      }
      expect(seen).toEqual(Array.from({ length: total }, (_, i) => total - 1 - i));
    });

    it("are a tenant's own, in lists and by id", async () => {
      const other = `${given.tenant}-other`;
      const deadLetters = [given.deadLetter(0), given.deadLetter(1, { tenant: other }), given.deadLetter(2)];
      await given.stream.commit(given.commit(undefined, positionAt(3), {}, { deadLetters }));
      const offsets = async (query: Partial<DeadLetterQuery>) =>
        (await list(query)).map(({ offset }) => offset);
      expect(await offsets({})).toEqual([2, 0]);
      expect(await offsets({ tenant: other })).toEqual([1]);
      expect(await offsets({ tenant: undefined, topic: given.id.topic })).toEqual([2, 1, 0]);
      expect(await given.query.deadLetter(idOf(1), given.tenant)).toBeUndefined();
      expect(await given.query.deadLetter(idOf(1), other)).toMatchObject({ offset: 1 });
      expect(await given.query.deadLetter(idOf(1), undefined)).toMatchObject({ tenant: other });
      // Nor does another tenant's letter tell where it stands.
      expect(await list({ after: idOf(1) })).toEqual([]);
    });

    it("are found by topic and by the fault's kind", async () => {
      const deadLetters = [
        given.deadLetter(0),
        given.deadLetter(1, { errorType: "missing_field" }),
        given.deadLetter(2),
      ];
      await given.stream.commit(given.commit(undefined, positionAt(3), {}, { deadLetters }));
      const elsewhere = { ...given.id, topic: `${given.id.topic}x` };
      await given.stream.commit(
        partitionCommit(elsewhere, { deadLetters: [given.deadLetter(5, { errorType: "missing_field" })] }),
      );
      const found = async (query: Partial<DeadLetterQuery>) =>
        (await list(query)).map(({ offset }) => offset).toSorted((a, b) => a - b);
      expect(await found({ topic: given.id.topic })).toEqual([0, 1, 2]);
      expect(await found({ topic: elsewhere.topic })).toEqual([5]);
      expect(await found({ errorType: "missing_field" })).toEqual([1, 5]);
      expect(await found({ topic: given.id.topic, errorType: "missing_field" })).toEqual([1]);
      expect(await found({ topic: "none" })).toEqual([]);
    });

    it("are there once, however often their place is read", async () => {
      const deadLetters = [given.deadLetter(0)];
      await given.stream.commit(given.commit(undefined, positionAt(0), {}, { deadLetters }));
      const again = given.commit(
        positionAt(0),
        positionAt(1),
        { logs: [given.row(log(), 1)] },
        { deadLetters },
      );
      expect(await given.stream.commit(again)).toBe("committed");
      expect(await list()).toHaveLength(1);
    });
  });
}
