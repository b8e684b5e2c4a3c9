// A record is stored once: a commit whose records someone else has claimed is taken back whole, as a conflict.
import { beforeEach, describe, expect, it } from "vitest";
import type { Claim, NewClaims } from "../../lib/storage/storage.ts";
import { ledgerEntry, partitionCommit, positionAt } from "./partition-commit.ts";
import { log, TIME, type GivenStore } from "./storage-case.ts";

const HOUR_MS = 3_600_000;

export function claimCases(given: GivenStore): void {
  let key: string;
  beforeEach(() => {
    key = newKey();
  });

  const claim = (bits: number, attempt = 0, word = 0): Claim => ({ key, word, attempt, bits });
  /** Each on a partition of its own, which was never read: no fence is in the way. */
  let partitions = 10;
  const commit = (claims: Partial<NewClaims>, receivedMs = Date.parse(TIME)) => {
    const id = { ...given.id, partition: partitions++ };
    return given.stream.commit(partitionCommit(id, { claims: { receivedMs, ...claims } }));
  };
  const claimed = async (...keys: string[]) => {
    const found = await given.stream.claimed(keys.length === 0 ? [key] : keys);
    return found.toSorted((a, b) => a.word - b.word || a.attempt - b.attempt);
  };

  describe("claims", () => {
    it("are told by their keys, as they were made", async () => {
      const other = newKey();
      const made: Claim[] = [
        claim(1),
        claim(0xffff_ffff, 2 ** 48 - 1),
        claim(0x8000_0000, 0, 312),
        claim(0x7fff_fffe, 1, 312),
        { ...claim(5, 7, 400), key: other },
      ];
      expect(await commit({ first: made.slice(0, 1) })).toBe("committed");
      expect(await commit({ first: made.slice(2), repeated: made.slice(1, 2) })).toBe("committed");
      expect(await claimed(key, newKey(), other, key)).toEqual(made);
      expect(await claimed(newKey())).toEqual([]);
      expect(await given.stream.claimed([])).toEqual([]);
    });

    it("are added to those of the same acceptance, within a commit and after it", async () => {
      expect(await commit({ first: [claim(0b0001, 3)] })).toBe("committed");
      const both = { first: [claim(0b0010, 3)], repeated: [claim(0b1000, 3)] };
      expect(await commit(both)).toBe("committed");
      expect(await claimed()).toEqual([claim(0b1011, 3)]);
    });

    it("at first stand against all acceptances", async () => {
      expect(await commit({ first: [claim(0b0101, 3)] })).toBe("committed");
      for (const attempt of [3, 0, 4]) {
        expect(await commit({ first: [claim(0b0110, attempt)] }), `${attempt}`).toBe("conflict");
        expect(await commit({ first: [claim(0xffff_ffff, attempt)] }), `${attempt}`).toBe("conflict");
      }
      expect(await claimed()).toEqual([claim(0b0101, 3)]);
      expect(await commit({ first: [claim(0b1010, 4)] })).toBe("committed");
      expect(await commit({ first: [claim(0b0101, 3, 1)] })).toBe("committed");
      expect(await commit({ first: [{ ...claim(0b0101, 3), key: newKey() }] })).toBe("committed");
    });

    it("repeated stand against their own acceptance only", async () => {
      expect(await commit({ first: [claim(0b01, 3)] })).toBe("committed");
      expect(await commit({ repeated: [claim(0b01, 3)] })).toBe("conflict");
      expect(await commit({ repeated: [claim(0b01, 4)] })).toBe("committed");
      expect(await commit({ repeated: [claim(0b11, 4)] })).toBe("conflict");
      expect(await commit({ repeated: [claim(0b10, 4)] })).toBe("committed");
      // Now that 4 has the second bit, it is nobody's at first.
      expect(await commit({ first: [claim(0b10, 5)] })).toBe("conflict");
      expect(await claimed()).toEqual([claim(0b01, 3), claim(0b11, 4)]);
    });

    it("are judged by what was there before the commit, not by one another", async () => {
      // Two acceptances of one record, read in one batch: the first is stored, the second is not.
      const twice = { first: [claim(0b01, 3)], repeated: [claim(0b01, 4)] };
      expect(await commit(twice)).toBe("committed");
      expect(await commit({ first: [claim(0b10, 3), claim(0b100, 4)] })).toBe("committed");
      expect(await claimed()).toEqual([claim(0b011, 3), claim(0b101, 4)]);
    });

    it("in conflict take the whole commit back", async () => {
      const mine = newKey();
      expect(await commit({ first: [claim(1)] })).toBe("committed");
      await given.stream.commit(given.commit(undefined, positionAt(1)));
      const whole = given.commit(
        positionAt(1),
        positionAt(3),
        { logs: [given.row(log(), 1)] },
        {
          deadLetters: [given.deadLetter(2)],
          claims: { first: [{ ...claim(1), key: mine }, claim(1, 9)], receivedMs: Date.parse(TIME) },
          ledger: [ledgerEntry(given.tenant, { stored: 1, dead: 1 })],
          outbox: [{ id: `out/${mine}`, topic: "logs.dlq", key: null, value: "{}" }],
          expired: 4,
        },
      );
      expect(await given.stream.commit(whole)).toBe("conflict");
      expect(await given.logs()).toEqual([]);
      expect(await given.stream.claimed([mine])).toEqual([]);
      expect(await given.stream.ledger(given.id.group, undefined)).toEqual([]);
      expect(await given.stream.outbox(given.id, 10)).toEqual([]);
      const letters = {
        topic: undefined,
        errorType: undefined,
        from: undefined,
        to: undefined,
        limit: 10,
        after: undefined,
      };
      expect(await given.query.deadLetters({ tenant: given.tenant, ...letters })).toEqual([]);
      expect(await given.stream.position(given.id)).toEqual(positionAt(1));
      const progress = await given.stream.progress(given.id.group);
      expect(progress.find(({ partition }) => partition === given.id.partition)).toMatchObject({
        recordsTotal: 0,
        deadTotal: 0,
        expiredTotal: 0,
        readThroughMs: 0,
      });
      whole.claims.first.pop();
      expect(await given.stream.commit(whole)).toBe("committed");
    });

    it("are not judged where the position has moved: that is a fence, whatever is claimed", async () => {
      expect(await commit({ first: [claim(1)] })).toBe("committed");
      await given.stream.commit(given.commit(undefined, positionAt(5)));
      const both = { claims: { first: [claim(1)], repeated: [claim(1)], receivedMs: 0 } };
      for (const from of [undefined, positionAt(4)]) {
        expect(await given.stream.commit(given.commit(from, positionAt(6), {}, both))).toBe("fenced");
      }
      expect(await given.stream.commit(given.commit(positionAt(5), positionAt(6), {}, both))).toBe(
        "conflict",
      );
    });

    it("of 10,000 records are judged to the last", async () => {
      const many = Array.from({ length: 10_000 }, (_, i): Claim => ({ ...claim(1, i), key: newKey() }));
      expect(await commit({ first: many })).toBe("committed");
      const mine = Array.from({ length: 10_000 }, (): Claim => ({ ...claim(1), key: newKey() }));
      expect(await commit({ first: [...mine, many.at(-1)!] })).toBe("conflict");
      expect(await commit({ first: mine, repeated: [many.at(-1)!] })).toBe("conflict");
      expect(await given.stream.claimed(many.map((one) => one.key))).toHaveLength(10_000);
      expect(await given.stream.claimed(mine.map((one) => one.key))).toEqual([]);
    });

    it("of one word that have no bit in common never conflict, on whatever partitions", async () => {
      for (const attemptOf of [() => 0, (i: number) => i]) {
        key = newKey();
        const all = Array.from({ length: 32 }, (_, i) => commit({ first: [claim(2 ** i, attemptOf(i))] }));
        expect(new Set(await Promise.all(all))).toEqual(new Set(["committed"]));
        const bits = (await claimed()).reduce((sum, row) => sum + row.bits, 0);
        expect(bits).toBe(0xffff_ffff);
      }
    });

    it("let ten partitions with the same records store each of them once", async () => {
      // Each of the ten has five records of one batch, in an acceptance of its own; they overlap.
      const outcomes: string[] = [];
      const takePartition = async (n: number) => {
        const id = { ...given.id, partition: 1_000 + n };
        const records = Array.from({ length: 5 }, (_, i) => n + i);
        const attempt = n + 1;
        // Every conflict means that another partition got on.
        for (let tries = 0; tries < 10; tries++) {
          const known = tries === 0 ? [] : await given.stream.claimed([key]);
          const isKnown = (record: number) => known.some(({ bits }) => ((bits >>> record) & 1) === 1);
          const first = records.filter((record) => !isKnown(record));
          const repeated = records.filter(isKnown);
          const claims = (some: number[]) => some.map((record) => claim(2 ** record, attempt));
          const outcome = await given.stream.commit(
            partitionCommit(id, {
              rows: { logs: first.map((record) => given.row(log({ message: `${record}` }), n, record)) },
              claims: {
                first: merged(claims(first)),
                repeated: merged(claims(repeated)),
                receivedMs: Date.parse(TIME),
              },
              ledger: [ledgerEntry(given.tenant, { stored: first.length, deduplicated: repeated.length })],
            }),
          );
          outcomes.push(outcome);
          if (outcome !== "conflict") return;
        }
      };
      await Promise.all(Array.from({ length: 10 }, (_, n) => takePartition(n)));
      expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(10);
      const stored = (await given.logs()).map(({ record }) => Number(record.message));
      expect(stored.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 14 }, (_, i) => i));
      const ledger = await given.stream.ledger(given.id.group, given.tenant);
      expect(ledger.reduce((sum, row) => sum + row.stored, 0)).toBe(14);
      expect(ledger.reduce((sum, row) => sum + row.deduplicated, 0)).toBe(36);
      expect((await claimed()).map(({ bits }) => bits)).toEqual(
        Array.from({ length: 10 }, (_, n) => 0b11111 * 2 ** n),
      );
    });

    it("are dropped by the hour of their newest receipt, so many at a time", async () => {
      // Hours of 1970, where no other case has any.
      await given.stream.dropClaims(1_000 * HOUR_MS, 1_000);
      const keys = Array.from({ length: 5 }, newKey);
      const [later, renewed] = [newKey(), newKey()];
      const of = (one: string, bits = 1): Claim => ({ ...claim(bits), key: one });
      await commit({ first: [...keys, renewed].map((one) => of(one)) }, 100.5 * HOUR_MS);
      await commit({ first: [of(later), of(renewed, 2)] }, 102.5 * HOUR_MS);
      // An older one that comes late makes nothing older.
      await commit({ repeated: [of(renewed, 4)] }, 99 * HOUR_MS);

      expect(await given.stream.dropClaims(100.25 * HOUR_MS, 1_000)).toBe(0);
      expect(await given.stream.dropClaims(101 * HOUR_MS, 2)).toBe(2);
      expect(await given.stream.claimed(keys)).toHaveLength(3);
      expect(await given.stream.dropClaims(101 * HOUR_MS, 1_000)).toBe(3);
      expect(await given.stream.dropClaims(102.25 * HOUR_MS, 1_000)).toBe(0);
      expect(await given.stream.claimed([...keys, later, renewed])).toHaveLength(2);
      expect(await given.stream.claimed([renewed])).toEqual([of(renewed, 7)]);
      expect(await given.stream.dropClaims(103 * HOUR_MS, 1_000)).toBe(2);
      // What was dropped is free again.
      expect(await commit({ first: [of(renewed)] }, 100.5 * HOUR_MS)).toBe("committed");
    });
  });
}

const newKey = () => crypto.randomUUID().replaceAll("-", "");

/** One claim of all that are for one row. */
function merged(claims: Claim[]): Claim[] {
  const [first] = claims;
  return first ? [{ ...first, bits: claims.reduce((sum, { bits }) => sum + bits, 0) }] : [];
}
