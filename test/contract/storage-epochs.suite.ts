// A group that begins anew builds beside what is seen: rows of a further epoch are stored, and not seen.
import { describe, expect, it } from "vitest";
import type { Rows } from "../../lib/storage/storage.ts";
import { positionAt } from "./partition-commit.ts";
import { ANY_LOG, ANY_TRACE, hex, log, metric, PAGE, span, TIME, type GivenStore } from "./storage-case.ts";

export function epochCases(given: GivenStore): void {
  /** One of each kind, at the same places in every epoch. */
  const rows = (name: string): Rows => ({
    logs: [given.row(log({ message: name }), 0)],
    metrics: [given.row(metric({ name }), 1)],
    events: [given.row({ timestamp: TIME, event_type: name, data: null }, 2)],
    traces: [given.row(span(1, { name }), 3)],
  });
  const seen = async () => {
    const page = { ...PAGE, tenant: given.tenant };
    const traceId = hex(2, 32);
    const letters = {
      topic: undefined,
      errorType: undefined,
      from: undefined,
      to: undefined,
      limit: 10,
      after: undefined,
    };
    const [logs, metrics, events, traces, spans, count, names, dead] = await Promise.all([
      given.query.logs({ ...page, ...ANY_LOG }),
      given.query.metrics({ ...page, name: undefined, labels: {} }),
      given.query.events({ ...page, eventType: undefined }),
      given.query.traces({ ...page, ...ANY_TRACE }),
      given.query.spans(given.tenant, traceId, 10),
      given.query.spanCount(given.tenant, traceId),
      given.query.metricNames({ tenant: given.tenant, prefix: "", after: "", limit: 10 }),
      given.query.deadLetters({ tenant: given.tenant, ...letters }),
    ]);
    return {
      logs: logs.map(({ record }) => record.message),
      metrics: metrics.map(({ record }) => record.name),
      events: events.map(({ record }) => record.event_type),
      traces: traces.map(({ record }) => `${record.name} ${record.span_count}`),
      spans: spans.map(({ record }) => record.name),
      count,
      names: names.map(({ name }) => name),
      dead: dead.map(({ error }) => error),
    };
  };
  const allOf = (name: string) => ({
    logs: [name],
    metrics: [name],
    events: [name],
    traces: [`${name} 1`],
    spans: [name],
    count: 1,
    names: [name],
    dead: [name],
  });
  const nothing = {
    logs: [],
    metrics: [],
    events: [],
    traces: [],
    spans: [],
    count: 0,
    names: [],
    dead: [],
  };
  const commitEpoch = async (epoch: number, group = given.id.group) => {
    const name = `epoch${epoch}`;
    const deadLetters = [given.deadLetter(4, { error: name })];
    const commit = given.commit(undefined, positionAt(5, { epoch }), rows(name), { deadLetters });
    return await given.stream.commit({ ...commit, group });
  };

  describe("epochs", () => {
    it("beyond the first are stored, counted and not seen", async () => {
      expect(await commitEpoch(1)).toBe("committed");
      expect(await seen()).toEqual(nothing);
      expect(await given.stream.progress(given.id.group)).toMatchObject([
        { epoch: 1, recordsTotal: 4, deadTotal: 1 },
      ]);
      const id = `${given.id.group}/${given.id.topic}/0/${given.id.partition}/4/-1`;
      expect(await given.query.deadLetter(id, undefined)).toBeUndefined();
    });

    it("keep what is at one place apart", async () => {
      expect(await commitEpoch(0)).toBe("committed");
      const anew = given.commit(positionAt(5), positionAt(0, { epoch: 1 }));
      expect(await given.stream.commit(anew)).toBe("committed");
      const again = given.commit(positionAt(0, { epoch: 1 }), positionAt(5, { epoch: 1 }), rows("epoch1"), {
        deadLetters: [given.deadLetter(4, { error: "epoch1" })],
      });
      expect(await given.stream.commit(again)).toBe("committed");
      expect(await seen()).toEqual(allOf("epoch0"));
    });

    it("that are not seen hide nothing behind them", async () => {
      expect(await commitEpoch(1, `${given.id.group}x`)).toBe("committed");
      expect(await commitEpoch(0)).toBe("committed");
      expect(await commitEpoch(2, `${given.id.group}y`)).toBe("committed");
      expect(await seen()).toEqual(allOf("epoch0"));
    });
  });
}
