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

    it("are told what died in those before them that are seen, place by place", async () => {
      const { id } = given;
      const die = async (group: string, partition: number, epoch: number, offset: number, index = -1) => {
        const commit = given.commit(
          undefined,
          positionAt(9, { epoch }),
          {},
          {
            deadLetters: [given.deadLetter(offset, { index })],
          },
        );
        expect(await given.stream.commit({ ...commit, group, partition })).toBe("committed");
      };
      const deadLetters = [2, 3, 5].map((offset) => given.deadLetter(offset, { index: offset - 3 }));
      await given.stream.commit(given.commit(undefined, positionAt(9), {}, { deadLetters }));
      await die(id.group, 7, 0, 3);
      await die(`${id.group}x`, id.partition, 0, 3);
      await die(`${id.group}@4`, id.partition, 4, 3);
      const asked = async (group: string, epoch: number, incarnation: number, from: number, to: number) =>
        await given.stream.epochsBefore({ ...id, group, epoch, incarnation }, from, to);
      const place = (offset: number) => ({ epoch: 0, offset, index: offset - 3 });
      const told = await asked(`${id.group}@5`, 5, 0, 2, 6);
      expect(told.epochs).toEqual([{ epoch: 0, untilMs: null }]);
      expect(told.dead.toSorted((a, b) => a.offset - b.offset)).toEqual([2, 3, 5].map(place));
      const part = await asked(`${id.group}@5`, 5, 0, 3, 5);
      expect(part).toEqual({ epochs: [{ epoch: 0, untilMs: null }], dead: [place(3)] });
      const none = { epochs: [{ epoch: 0, untilMs: null }], dead: [] };
      expect(await asked(`${id.group}@5`, 5, 0, 6, 9)).toEqual(none);
      expect(await asked(`${id.group}y@5`, 5, 0, 0, 9)).toEqual(none);
      expect(await asked(`${id.group}@5`, 5, 1, 0, 9)).toEqual({ epochs: [], dead: [] });
      expect(await asked(id.group, 0, 0, 0, 9)).toEqual({ epochs: [], dead: [] });
    });

    it("that are not seen hide nothing behind them", async () => {
      expect(await commitEpoch(1, `${given.id.group}x`)).toBe("committed");
      expect(await commitEpoch(0)).toBe("committed");
      expect(await commitEpoch(2, `${given.id.group}y`)).toBe("committed");
      expect(await seen()).toEqual(allOf("epoch0"));
    });
  });
}
