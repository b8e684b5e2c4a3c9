// Claims on a real PostgreSQL where many commit at once, through connections of their own, and old claims are dropped
// meanwhile; and what the statements cost.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { createPostgresQueryStore } from "../../../lib/storage/postgres/query.ts";
import type { RawRow, Value } from "../../../lib/storage/postgres/session.ts";
import { createPostgresStreamStore } from "../../../lib/storage/postgres/stream.ts";
import type { Claim, QueryStore, Row, StreamStore } from "../../../lib/storage/storage.ts";
import { ledgerEntry, partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { ANY_LOG, ANY_TRACE, hex, log, metric, PAGE, span } from "../../contract/storage-case.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";

const HOUR_MS = 3_600_000;
const newKey = () => crypto.randomUUID().replaceAll("-", "");

describe.skipIf(!realPostgres.available)(`many at once on PostgreSQL ${realPostgres.why}`, () => {
  let server: RealPostgres;
  let connections: PostgresConnections;
  let store: StreamStore;
  const open: PostgresConnections[] = [];

  beforeAll(async () => {
    server = await startPostgres();
    connections = connect();
    store = createPostgresStreamStore(connections);
  });
  afterAll(async () => {
    for (const one of open) one.close();
    await server.close();
  });

  function connect(): PostgresConnections {
    const made = new PostgresConnections({ url: server.url });
    open.push(made);
    return made;
  }

  let partitions = 0;
  const commitClaims = async (first: Claim[], repeated: Claim[], receivedMs: number) =>
    await store.commit(
      partitionCommit(
        { group: "claims", topic: "t", partition: partitions++ },
        { claims: { first, repeated, receivedMs } },
      ),
    );

  it("each record is stored once, whoever reads it first, in however many acceptances", async () => {
    const group = `g${newKey()}`;
    // 24 readers of 20 records out of 64 each: some by their batch, 32 to a word, some by an id of their own.
    const batch = newKey();
    const ids = Array.from({ length: 24 }, newKey);
    const claimOf = (record: number, attempt: number): Claim =>
      record < 40
        ? { key: batch, word: record >>> 5, attempt, bits: 2 ** (record & 31) }
        : { key: ids[record - 40] as string, word: 0, attempt, bits: 1 };
    const over = new AbortController();
    let conflicts = 0;
    const read = async (reader: number) => {
      const stream = createPostgresStreamStore(connect());
      const attempt = reader % 8;
      const records = Array.from({ length: 20 }, (_, i) => (reader * 5 + i * 3) % 64);
      for (let tries = 0; ; tries++) {
        const wanted = records.map((record) => ({ record, claim: claimOf(record, attempt) }));
        const known = tries === 0 ? [] : await stream.claimed([batch, ...ids]);
        const under = ({ key, word, bits }: Claim, row: Claim) =>
          row.key === key && row.word === word && (row.bits & bits) !== 0;
        const first = wanted.filter(({ claim }) => !known.some((row) => under(claim, row)));
        const repeated = wanted.filter(
          (one) =>
            !first.includes(one) &&
            !known.some((row) => under(one.claim, row) && row.attempt === one.claim.attempt),
        );
        const outcome = await stream.commit(
          partitionCommit(
            { group, topic: group, partition: reader },
            {
              rows: {
                logs: first.map(({ record }) => ({
                  tenant: group,
                  offset: record,
                  index: 0,
                  record: log({ message: `${record}` }),
                })),
              },
              claims: {
                first: first.map(({ claim }) => claim),
                repeated: repeated.map(({ claim }) => claim),
                receivedMs: 500_000 * HOUR_MS,
              },
              ledger: [ledgerEntry(group, { stored: first.length })],
            },
          ),
        );
        if (outcome === "committed") return;
        expect(outcome).toBe("conflict");
        conflicts++;
      }
    };
    // Someone drops old claims all the while: there are none, yet it looks at every row.
    const dropping = (async () => {
      while (!over.signal.aborted) expect(await store.dropClaims(400_000 * HOUR_MS, 100)).toBe(0);
    })();
    await Promise.all(Array.from({ length: 24 }, (_, reader) => read(reader)));
    over.abort();
    await dropping;
    const query = createPostgresQueryStore(connections);
    const found = await query.logs({ ...PAGE, ...ANY_LOG, tenant: group });
    const messages = found.map(({ record }) => Number(record.message)).toSorted((a, b) => a - b);
    expect(messages).toEqual(Array.from({ length: 64 }, (_, i) => i));
    const ledger = await store.ledger(group, group);
    expect(ledger.reduce((sum, { stored }) => sum + stored, 0)).toBe(64);
    expect(conflicts).toBeGreaterThan(0);
  });

  it("a further acceptance stands against all also after the first one's claims were dropped", async () => {
    const key = newKey();
    const claim = (attempt: number, bits: number): Claim => ({ key, word: 3, attempt, bits });
    expect(await commitClaims([claim(1, 0b01)], [], 100 * HOUR_MS)).toBe("committed");
    expect(await commitClaims([claim(2, 0b10)], [claim(2, 0b01)], 200 * HOUR_MS)).toBe("committed");
    expect(await store.dropClaims(150 * HOUR_MS, 10)).toBe(1);
    expect(await store.claimed([key])).toEqual([claim(2, 0b11)]);
    expect(await commitClaims([claim(3, 0b10)], [], 201 * HOUR_MS)).toBe("conflict");
    expect(await commitClaims([], [claim(2, 0b10)], 201 * HOUR_MS)).toBe("conflict");
    expect(await commitClaims([claim(2, 0b100)], [], 201 * HOUR_MS)).toBe("committed");
    expect(await store.claimed([key])).toEqual([claim(2, 0b111)]);
  });

  it("two that begin one partition at once: one of them does", async () => {
    const id = { group: `g${newKey()}`, topic: "t", partition: 0 };
    const commits = Array.from({ length: 20 }, (_, i) =>
      createPostgresStreamStore(connect()).commit(partitionCommit(id, { next: positionAt(i + 1) })),
    );
    const outcomes = await Promise.all(commits);
    expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "fenced")).toHaveLength(19);
  });

  describe("what a query costs", () => {
    const tenant = `t${newKey()}`;
    const plans: string[] = [];
    let query: QueryStore;

    /** Tells the plan of every statement that it runs. */
    class Explaining extends PostgresConnections {
      override async read(what: string, sql: string, values: readonly Value[]): Promise<RawRow[]> {
        const plan = await super.read(what, `EXPLAIN ANALYZE ${sql}`, values);
        plans.push(plan.map((row) => String(row["QUERY PLAN"])).join("\n"));
        return await super.read(what, sql, values);
      }
    }

    beforeAll(async () => {
      const explaining = new Explaining({ url: server.url });
      open.push(explaining);
      query = createPostgresQueryStore(explaining);
      const timestamp = (i: number) => new Date(1_795_255_200_000 + i).toISOString();
      const rows = <T>(make: (i: number) => T) =>
        Array.from({ length: 6_000 }, (_, i) => ({ tenant, offset: 0, index: i, record: make(i) }));
      const traces: Row<"traces">[] = rows((i) =>
        span(Math.floor(i / 10), {
          timestamp: timestamp(i),
          span_id: hex(i + 1, 16),
          ...(i % 10 === 0 ? {} : { parent_span_id: hex(1, 16) }),
        }),
      );
      await store.commit(
        partitionCommit(
          { group: "cost", topic: "cost", partition: 0 },
          {
            rows: {
              logs: rows((i) => log({ timestamp: timestamp(i), service: `s${i % 20}` })),
              metrics: rows((i) => metric({ timestamp: timestamp(i), name: `n${10 + (i % 20)}` })),
              traces,
            },
          },
        ),
      );
      await connections.read("analyzing", "ANALYZE logs, metrics, spans, sources", []);
    });

    const page = { ...PAGE, tenant, limit: 10 };
    it.each<[string, (store: QueryStore) => Promise<unknown>, RegExp]>([
      ["the newest logs", (store) => store.logs({ ...page, ...ANY_LOG }), /logs_\d{8}_pkey/],
      [
        "logs of a service",
        (store) => store.logs({ ...page, ...ANY_LOG, service: "s3" }),
        /logs_\d{8}_tenant_service/,
      ],
      [
        "the newest metrics",
        (store) => store.metrics({ ...page, name: undefined, labels: {} }),
        /metrics_\d{8}_pkey/,
      ],
      [
        "metrics of a name",
        (store) => store.metrics({ ...page, name: "n11", labels: {} }),
        /metrics_\d{8}_tenant_name/,
      ],
      [
        "traces",
        (store) => store.traces({ ...page, ...ANY_TRACE }),
        /spans_\d{8}_tenant_time[\s\S]*spans_\d{8}_tenant_trace/,
      ],
      ["a trace", (store) => store.spans(tenant, hex(5, 32), 10), /spans_\d{8}_tenant_trace/],
      [
        "names",
        (store) => store.metricNames({ tenant, prefix: "n2", after: "", limit: 100 }),
        /metrics_\d{8}_tenant_name/,
      ],
    ])("goes by what is told of %s, not by what is stored", async (_, ask, index) => {
      plans.length = 0;
      await ask(query);
      const plan = plans.join("\n");
      expect(plan).toMatch(index);
      expect(plan).not.toMatch(/Seq Scan on (logs|metrics|spans)/);
      const read = [
        ...plan.matchAll(/on (?:logs|metrics|spans)_\d{8}\b.*actual time=\S+ rows=(\d+) loops=(\d+)/g),
      ];
      expect(read.length).toBeGreaterThan(0);
      expect(read.reduce((sum, [, rows, loops]) => sum + Number(rows) * Number(loops), 0)).toBeLessThan(250);
    });
  });
});
