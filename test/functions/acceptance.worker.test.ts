// What the edge accepted, on its way to its keeper: nothing is added twice, nothing that was answered is forgotten, and an
// isolate that ends with counts shows, with how many they may have been.
import { createExecutionContext, env, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Acceptance, readAcceptance } from "../../functions/acceptance.ts";
import { StoredAcceptance } from "../../lib/ingest/acceptance/stored-acceptance.ts";
import {
  AcceptanceTally,
  type AcceptanceDelivery,
  type Accepted,
  type Hold,
} from "../../lib/ingest/acceptance/tally.ts";
import { SIGNALS } from "../../lib/telemetry/signal.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** In which nothing is delivered before it is asked for. */
const slow = { ...env, EDGE_FLUSH_MS: "20000" };

const logs = (tenant: string, accepted: number, unconfirmed = 0): Accepted => ({
  tenant,
  signal: "logs",
  accepted,
  unconfirmed,
});

const delivery = (
  isolate: string,
  sequence: number,
  accepted: number,
  fields: Partial<AcceptanceDelivery> = {},
): AcceptanceDelivery => ({
  isolate,
  sequence,
  counts: [logs("acme", accepted)],
  unregistered: 0,
  ageMs: 0,
  nextAtMost: 0,
  ...fields,
});

type Again = (from?: "from nothing") => StoredAcceptance;

/** A keeper of its own, in a real object's storage, and its next life. */
async function withKeeper(run: (keeper: StoredAcceptance, again: Again) => void): Promise<void> {
  const stub = env.ACCEPTANCE.getByName(crypto.randomUUID());
  await runInDurableObject(stub, async (_, { storage }) => {
    run(new StoredAcceptance(storage), (from) => {
      const tables = from ? ["totals", "deliveries", "open_intervals", "uncertain"] : [];
      for (const table of tables) storage.sql.exec(`DROP TABLE ${table}`);
      return new StoredAcceptance(storage);
    });
  });
}

describe("the keeper", () => {
  it("adds a delivery once, however often and late it comes, over its lives", async () => {
    await withKeeper((keeper, again) => {
      expect(keeper.deliver(delivery("a", 1, 5), 0)).toBe("added");
      expect(keeper.deliver(delivery("a", 1, 5), 0)).toBe("repeated");
      expect(keeper.deliver(delivery("b", 1, 100), 0)).toBe("added");
      expect(keeper.deliver(delivery("a", 2, 10), 0)).toBe("added");
      expect(again().deliver(delivery("a", 1, 5), 1)).toBe("repeated");
      expect(again().read(undefined, 1)).toEqual({
        counts: [logs("acme", 115)],
        open: 0,
        oldestOpenMs: null,
        lostIsolates: 0,
        lostAtMost: 0,
        refused: 0,
        unregistered: 0,
      });
    });
  });

  it("tells a tenant its own sums", async () => {
    await withKeeper((keeper) => {
      const counts = [
        logs("acme", 1, 2),
        logs("other", 3),
        { ...logs("acme", 4), signal: "metrics" as const },
      ];
      keeper.deliver(delivery("a", 1, 0, { counts }), 0);
      expect(keeper.read("acme", 0).counts).toEqual([counts[0], counts[2]]);
      expect(keeper.read("nobody", 0).counts).toEqual([]);
      expect(keeper.read(undefined, 0).counts).toHaveLength(3);
    });
  });

  it("shows an interval that was opened and not delivered: at work for a minute, then lost, until it comes", async () => {
    await withKeeper((keeper, again) => {
      keeper.open({ isolate: "a", sequence: 1, atMost: 256 }, 1_000);
      keeper.open({ isolate: "a", sequence: 1, atMost: 1_024 }, 2_000);
      expect(keeper.read(undefined, 1_000 + MINUTE_MS)).toMatchObject({
        open: 1,
        oldestOpenMs: 1_000,
        lostIsolates: 0,
        lostAtMost: 0,
      });
      const lost = { open: 0, oldestOpenMs: 1_000, lostIsolates: 1, lostAtMost: 1_024 };
      expect(again().read(undefined, 1_001 + MINUTE_MS)).toMatchObject(lost);
      expect(keeper.deliver(delivery("a", 1, 7), 1_002 + MINUTE_MS)).toBe("added");
      expect(keeper.read(undefined, 1_003 + MINUTE_MS)).toMatchObject({
        counts: [logs("acme", 7)],
        oldestOpenMs: null,
        lostIsolates: 0,
        lostAtMost: 0,
      });
    });
  });

  it("counts an isolate once for its open intervals, and one that is overtaken by its delivery not at all", async () => {
    await withKeeper((keeper) => {
      keeper.open({ isolate: "a", sequence: 1, atMost: 256 }, 0);
      keeper.open({ isolate: "a", sequence: 2, atMost: 512 }, 0);
      keeper.deliver(delivery("b", 1, 1), 0);
      keeper.open({ isolate: "b", sequence: 1, atMost: 256 }, 0);
      expect(keeper.read(undefined, 2 * MINUTE_MS)).toMatchObject({ lostIsolates: 1, lostAtMost: 512 });
    });
  });

  it("opens the next interval with a delivery that says so, also where the delivery had come", async () => {
    await withKeeper((keeper) => {
      keeper.open({ isolate: "a", sequence: 1, atMost: 256 }, 0);
      keeper.deliver(delivery("a", 1, 1), 0);
      expect(keeper.read(undefined, 0).open).toBe(0);
      expect(keeper.deliver(delivery("a", 1, 1, { nextAtMost: 256 }), 0)).toBe("repeated");
      expect(keeper.read(undefined, 0).open).toBe(1);
      keeper.deliver(delivery("a", 2, 1), 0);
      // A copy that was long on its way.
      keeper.deliver(delivery("a", 1, 1, { nextAtMost: 256 }), 0);
      expect(keeper.read(undefined, 0)).toMatchObject({ open: 0, counts: [logs("acme", 2)] });
    });
  });

  it("forgets numbers after an hour; what it cannot tell from an added one then is refused, and shown", async () => {
    await withKeeper((keeper) => {
      keeper.deliver(delivery("a", 1, 5), 0);
      keeper.deliver(delivery("b", 1, 5), 0);
      const laterMs = HOUR_MS + 1;
      // First given within half an hour: had it been added, it would be remembered.
      expect(keeper.deliver(delivery("a", 2, 10), laterMs)).toBe("added");
      expect(keeper.deliver(delivery("b", 1, 5, { ageMs: HOUR_MS }), laterMs)).toBe("refused");
      expect(keeper.read(undefined, laterMs)).toMatchObject({ counts: [logs("acme", 20)], refused: 5 });
      // Old, and yet surely new: its isolate is remembered.
      expect(keeper.deliver(delivery("a", 3, 1, { ageMs: HOUR_MS }), laterMs)).toBe("added");
    });
  });

  it("keeps showing isolates that ended after it has summed them up", async () => {
    await withKeeper((keeper, again) => {
      keeper.open({ isolate: "a", sequence: 1, atMost: 256 }, 0);
      keeper.open({ isolate: "b", sequence: 9, atMost: 512 }, 0);
      keeper.deliver(delivery("c", 1, 1), 2 * HOUR_MS);
      expect(again().read(undefined, 2 * HOUR_MS)).toMatchObject({
        open: 0,
        oldestOpenMs: null,
        lostIsolates: 2,
        lostAtMost: 768,
      });
    });
  });
});

describe("an isolate's end after any of its ways", () => {
  /** A message is lost, arrives, or arrives and its answer is lost. */
  const step = fc.record({
    kind: fc.constantFrom("begin", "begin", "answer", "answer", "deliver", "copy", "pause"),
    records: fc.constantFrom(1, 10, 300, 3_000),
    message: fc.constantFrom("arrives", "arrives", "lost", "answer-lost"),
  });

  it("leaves no more uncertain than the keeper says", async () => {
    await withKeeper((_, again) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, isEnded) => {
          const keeper = again("from nothing");
          let nowMs = 0;
          let answered = 0;
          const tally = new AcceptanceTally(() => "isolate-0");
          const held: Hold[] = [];
          const sent: AcceptanceDelivery[] = [];
          const tell = (isHeard: boolean) => {
            const opening = tally.opening();
            if (opening) keeper.open(opening, nowMs);
            if (opening && isHeard) tally.opened(opening);
          };
          for (const { kind, records, message } of steps) {
            if (kind === "pause") nowMs += 10 * MINUTE_MS;
            if (kind === "copy") for (const one of sent) keeper.deliver(one, nowMs);
            if (kind === "begin") {
              held.push(tally.hold("acme", "logs", records, nowMs));
              tell(message === "arrives");
            }
            const hold = kind === "answer" ? held.shift() : undefined;
            if (hold) {
              tally.note(logs("acme", hold.records));
              tally.release(hold);
              tell(message === "arrives");
              tally.answered(hold.records);
              answered += hold.records;
            }
            const given = kind === "deliver" && message !== "lost" ? tally.next(nowMs) : undefined;
            if (!given) continue;
            sent.push(given);
            keeper.deliver(given, nowMs);
            if (message === "arrives") tally.confirm(given);
          }
          nowMs += 2 * MINUTE_MS;
          for (let given = isEnded ? undefined : tally.next(nowMs); given; given = tally.next(nowMs)) {
            keeper.deliver(given, nowMs);
            tally.confirm(given);
          }
          const { counts, open, lostAtMost, lostIsolates, refused } = keeper.read("acme", nowMs);
          const missing = answered - (counts[0]?.accepted ?? 0);
          expect(open).toBe(0);
          expect(missing).toBeGreaterThanOrEqual(0);
          expect(missing).toBeLessThanOrEqual(lostAtMost + refused);
          // Whoever lives has told all, and nothing of it is in doubt, unless his keeper forgot him.
          if (!isEnded && refused === 0 && nowMs < HOUR_MS)
            expect({ missing, lostIsolates }).toEqual({ missing: 0, lostIsolates: 0 });
        }),
        { numRuns: 300 },
      );
    });
  });
});

/** As a request does: begins while it writes, notes, settles, answers. */
async function request(
  counts: Accepted,
  bindings: Env = env,
  fate: "noted" | "broken" = "noted",
): Promise<void> {
  const context = createExecutionContext();
  const acceptance = new Acceptance(bindings, (promise) => context.waitUntil(promise));
  const begun = acceptance.begin({ ...counts, records: counts.accepted + counts.unconfirmed });
  await Promise.resolve();
  if (fate === "noted") acceptance.note(counts);
  await begun;
  await acceptance.settle();
  await waitOnExecutionContext(context);
}

/** Bindings of a deployment whose keepers cannot be reached. */
function away(): Env {
  const namespace: Pick<Env["ACCEPTANCE"], "getByName"> = {
    getByName: () => {
      throw new Error("away");
    },
  };
  return { ...env, ACCEPTANCE: namespace as Env["ACCEPTANCE"] };
}

const newTenant = () => `t${crypto.randomUUID()}`;

describe("a request", () => {
  it("is in the totals behind its answer, and leaves no interval open", async () => {
    const tenant = newTenant();
    await request(logs(tenant, 3, 2));
    await Promise.all(SIGNALS.map((signal) => request({ ...logs(tenant, 10), signal })));
    const { counts, errors, open, unregistered } = await readAcceptance(env, tenant);
    expect({ errors, open, unregistered }).toEqual({ errors: 0, open: 0, unregistered: 0 });
    expect(counts.find(({ signal }) => signal === "logs")).toEqual(logs(tenant, 13, 2));
    expect(counts.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(43);
  });

  it("has told the keeper before it is answered, though nothing is delivered yet", async () => {
    const tenant = newTenant();
    const context = createExecutionContext();
    const acceptance = new Acceptance(slow, (promise) => context.waitUntil(promise));
    const before = await openIntervals();
    await acceptance.begin({ tenant, signal: "logs", records: 1 });
    expect(await openIntervals()).toBe(before + 1);
    acceptance.note(logs(tenant, 1));
    await acceptance.settle();
    expect(await openIntervals()).toBe(before + 1);
    // Reading takes this isolate's own along.
    expect(await readAcceptance(env, tenant)).toMatchObject({ open: 0, counts: [logs(tenant, 1)] });
  });

  it("whose interval was taken for a delivery that failed tells the keeper of the next", async () => {
    const tenant = newTenant();
    const before = await openIntervals();
    const acceptance = new Acceptance(slow, () => undefined);
    await acceptance.begin({ tenant, signal: "logs", records: 1 });
    await request(logs(tenant, 1), away());
    acceptance.note(logs(tenant, 1));
    expect(await openIntervals()).toBe(before + 1);
    await acceptance.settle();
    expect(await openIntervals()).toBe(before + 2);
    expect(await readAcceptance(env, tenant)).toMatchObject({ open: 0, counts: [logs(tenant, 2)] });
  });

  it("that breaks before its verdicts has unconfirmed records", async () => {
    const tenant = newTenant();
    await request(logs(tenant, 5), env, "broken");
    expect((await readAcceptance(env, tenant)).counts).toEqual([logs(tenant, 0, 5)]);
  });

  it("with nothing accepted leaves nothing open", async () => {
    const tenant = newTenant();
    const context = createExecutionContext();
    const acceptance = new Acceptance(env, (promise) => context.waitUntil(promise));
    await acceptance.begin({ tenant, signal: "logs", records: 4 });
    acceptance.note(logs(tenant, 0));
    await acceptance.settle();
    await waitOnExecutionContext(context);
    expect(await readAcceptance(env, tenant)).toMatchObject({ open: 0, counts: [] });
  });

  it("of more than an isolate may hold back is delivered before it is answered", async () => {
    const tenant = newTenant();
    const acceptance = new Acceptance(slow, () => expect.fail("behind the answer"));
    await acceptance.begin({ tenant, signal: "logs", records: 20_001 });
    acceptance.note(logs(tenant, 20_001));
    await acceptance.settle();
    expect(await storedSum(tenant)).toBe(20_001);
  });

  it("goes on while its keeper is away; the counts come later, and say that they were not registered", async () => {
    const tenant = newTenant();
    const { unregistered } = await readAcceptance(env, tenant);
    await request(logs(tenant, 6), away());
    expect(await readAcceptance(away(), tenant)).toMatchObject({ errors: 4, counts: [] });
    expect(await storedSum(tenant)).toBe(0);
    await request(logs(tenant, 1));
    const after = await readAcceptance(env, tenant);
    expect(after).toMatchObject({ errors: 0, counts: [logs(tenant, 7)], open: 0 });
    expect(after.unregistered - unregistered).toBeGreaterThanOrEqual(6);
  });
});

/** Without taking along what this isolate holds. */
async function stored(tenant: string | null) {
  return await Promise.all(
    [0, 1, 2, 3].map(async (shard) => {
      const answer = await env.ACCEPTANCE.getByName(`shard-${shard}`).read(tenant);
      return answer.ok ? answer.value : expect.fail(answer.message);
    }),
  );
}

const openIntervals = async () => (await stored(null)).reduce((sum, { open }) => sum + open, 0);

const storedSum = async (tenant: string) =>
  (await stored(tenant)).flatMap(({ counts }) => counts).reduce((sum, { accepted }) => sum + accepted, 0);
