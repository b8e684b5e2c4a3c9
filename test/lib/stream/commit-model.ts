// What the model test of the commit protocol is made of: requests as clients send them, the copies of their messages on
// the log, and what must have come of them in the end, whatever happened on the way.
import * as fc from "fast-check";
import type { LedgerRow } from "../../../lib/storage/storage.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import type { Log } from "../../../lib/telemetry/log.ts";

export const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");
export const PARTITIONS = [0, 1, 2];
export const DEFAULT_TENANT = "nobody";

/**
 * A record: known by its batch and place, or by an id of its own, which a refused one may share with one that is stored.
 * A dead one cannot be read, a refused one the store will not have.
 */
type Kind = "plain" | "id" | "dead" | "refused" | "refused id";

/** What a refused record's row would say. */
export const REFUSED = "refused";

/** A message and the partitions on which copies of it lie. */
interface Laid {
  value: string;
  partitions: number[];
  /** Records accepted with it; by tenant. Undefined: another producer wrote it. */
  accepted: { tenant: string; records: number } | undefined;
}

export interface Traffic {
  /** In the order of the log. */
  copies: { partition: number; value: string }[];
  /** Of each record that can be stored, what its row says. */
  identities: Set<string>;
  /** By tenant: acceptances of records, and their copies. */
  accepted: Map<string, number>;
  onLog: Map<string, number>;
  /** Rows and dead letters of other producers' messages. */
  foreign: { stored: number; dead: number };
}

const batchArbitrary = fc.record({
  tenant: fc.constantFrom("acme", "zeta"),
  // Two words of claims, now and then.
  kinds: fc.oneof(
    { weight: 5, arbitrary: fc.array(kindArbitrary(), { minLength: 1, maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constant(Array.from({ length: 34 }, (): Kind => "plain")) },
  ),
  /** Each tells how an acceptance was grouped, and where the copies of its messages lie. */
  acceptances: fc.array(
    fc.record({
      groups: fc.integer({ min: 1, max: 3 }),
      places: fc.array(fc.array(fc.constantFrom(...PARTITIONS), { minLength: 1, maxLength: 3 }), {
        minLength: 3,
        maxLength: 3,
      }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

function kindArbitrary(): fc.Arbitrary<Kind> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant<Kind>("plain") },
    { weight: 3, arbitrary: fc.constant<Kind>("id") },
    { weight: 3, arbitrary: fc.constantFrom<Kind>("dead", "refused", "refused id") },
  );
}

export const trafficArbitrary: fc.Arbitrary<Traffic> = fc
  .record({
    batches: fc.array(batchArbitrary, { minLength: 1, maxLength: 3 }),
    others: fc.array(fc.record({ partition: fc.constantFrom(...PARTITIONS), isRead: fc.boolean() }), {
      maxLength: 2,
    }),
    order: fc.infiniteStream(fc.nat(1_000)),
  })
  .map(({ batches, others, order }) => {
    const identities = new Set<string>();
    const laid: Laid[] = [];
    for (const [number, { tenant, kinds, acceptances }] of batches.entries()) {
      const records = kinds.map((kind, index) => recordOf(tenant, `b${number}`, index, kind));
      for (const { text } of records) if (text !== undefined) identities.add(text);
      for (const [nth, { groups, places }] of acceptances.entries()) {
        // Attempts are random, and so far apart; a fresh batch has one by its nature, and does not tell it.
        const attempt = acceptances.length > 1 ? (nth + 1) * 2 ** 40 : 0;
        for (let group = 0; group < groups; group++) {
          const entries = records.flatMap(({ record }, index) =>
            index % groups === group ? [{ index, record }] : [],
          );
          if (entries.length === 0) continue;
          const header = { tenant, signal: "logs" as const, batch: `b${number}`, agentVersion: undefined };
          const told = {
            received: new Date(NOW_MS).toISOString(),
            attempt: acceptances.length > 1 ? attempt : 0,
          };
          const [packed] = packEnvelopes({ ...header, ...told }, entries).envelopes;
          laid.push({
            value: new TextDecoder().decode(packed!.value),
            partitions: places[group] as number[],
            accepted: { tenant, records: entries.length },
          });
        }
      }
    }
    for (const [number, { partition, isRead }] of others.entries()) {
      const text = isRead ? JSON.stringify({ message: `foreign ${number}` }) : "no JSON";
      laid.push({ value: text, partitions: [partition], accepted: undefined });
    }
    return trafficOf(laid, identities, order);
  });

/** @returns its row's text, where it is one that can be stored */
function recordOf(tenant: string, batch: string, index: number, kind: Kind) {
  const timestamp = new Date(NOW_MS).toISOString();
  if (kind === "dead") return { text: undefined, record: { timestamp, message: 7 } };
  // Of few ids, so that batches share them.
  const ids: Partial<Record<Kind, string>> = { id: `id${index % 2}`, "refused id": `id${index % 2}` };
  const id = ids[kind];
  const text = id === undefined ? `${tenant}/${batch}/${index}` : `${tenant}/${id}`;
  const isRefused = kind === "refused" || kind === "refused id";
  const message = isRefused ? REFUSED : text;
  const record: Log = { timestamp, level: "INFO", message, attributes: {}, ...(id ? { id } : {}) };
  return { text: isRefused ? undefined : text, record };
}

function trafficOf(laid: readonly Laid[], identities: Set<string>, order: fc.Stream<number>): Traffic {
  const accepted = new Map<string, number>();
  const onLog = new Map<string, number>();
  const add = (sums: Map<string, number>, tenant: string, records: number) =>
    sums.set(tenant, (sums.get(tenant) ?? 0) + records);
  const foreign = { stored: 0, dead: 0 };
  for (const { accepted: own, partitions, value } of laid) {
    if (own) {
      add(accepted, own.tenant, own.records);
      add(onLog, own.tenant, own.records * partitions.length);
    } else if (value.startsWith("{")) foreign.stored++;
    else foreign.dead++;
  }
  const copies = laid
    .flatMap(({ value, partitions }) => partitions.map((partition) => ({ partition, value })))
    .map((copy) => ({ copy, at: order.next().value as number }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ copy }) => copy);
  return { copies, identities, accepted, onLog, foreign };
}

/**
 * @param texts of the rows that were stored
 * @returns what is wrong with what was committed; none when all is well
 */
export function faultsOf(texts: readonly string[], ledger: readonly LedgerRow[], traffic: Traffic): string[] {
  const faults: string[] = [];
  const expectEqual = (what: string, found: unknown, wanted: unknown) => {
    if (found !== wanted) faults.push(`${what}: ${String(found)}, not ${String(wanted)}`);
  };
  const rows = new Map<string, number>();
  for (const text of texts) rows.set(text, (rows.get(text) ?? 0) + 1);
  for (const identity of traffic.identities) expectEqual(`rows of ${identity}`, rows.get(identity) ?? 0, 1);
  const foreignRows = [...rows.keys()].filter((text) => text.startsWith("foreign")).length;
  expectEqual("rows of other producers", foreignRows, traffic.foreign.stored);
  expectEqual("rows in all", rows.size, traffic.identities.size + traffic.foreign.stored);

  for (const [tenant, accepted] of traffic.accepted) {
    const own = ledger.filter((row) => row.tenant === tenant);
    const sum = (count: "stored" | "dead" | "deduplicated" | "redelivered") =>
      own.reduce((total, row) => total + row[count], 0);
    expectEqual(`${tenant}'s balance`, sum("stored") + sum("dead") + sum("deduplicated"), accepted);
    expectEqual(`${tenant}'s redelivered`, sum("redelivered"), (traffic.onLog.get(tenant) ?? 0) - accepted);
    const stored = [...traffic.identities].filter((identity) => identity.startsWith(`${tenant}/`)).length;
    expectEqual(`${tenant}'s stored`, sum("stored"), stored);
  }
  const foreign = ledger.filter((row) => row.tenant === DEFAULT_TENANT);
  expectEqual(
    "foreign",
    foreign.reduce((sum, row) => sum + row.foreign, 0),
    traffic.foreign.stored + traffic.foreign.dead,
  );
  return faults;
}
