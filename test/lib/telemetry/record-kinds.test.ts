import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventInputShape, validateEvent } from "../../../lib/telemetry/event.ts";
import { MAX_MESSAGE_BYTES } from "../../../lib/telemetry/limits.ts";
import { logInputShape, validateLog } from "../../../lib/telemetry/log.ts";
import { metricInputShape, validateMetric } from "../../../lib/telemetry/metric.ts";
import type { ValidationContext } from "../../../lib/telemetry/record.ts";
import type { Result } from "../../../lib/telemetry/result.ts";
import {
  anyJson,
  anyLabels,
  anyTimestamp,
  type Fields,
  nameLike,
  nearValid,
  numberLike,
  shortTextLike,
  textNear,
} from "./near-valid.ts";

const RECEIVED_MS = Date.parse("2026-11-21T10:00:00.000Z");
const CONSUMER: ValidationContext = { receivedMs: RECEIVED_MS, enforceTimeRange: false };
const RUNS = { seed: 20261121, numRuns: 1_500 };

interface Kind {
  name: string;
  shape: { safeParse(input: unknown): { success: boolean } };
  validate: (input: unknown, context: ValidationContext) => Result<object>;
  inputs: fc.Arbitrary<Fields>;
}

const metricFields = {
  name: nameLike,
  value: numberLike,
  labels: anyLabels,
  timestamp: anyTimestamp,
  id: shortTextLike,
};
const databaseFields = {
  metric_name: nameLike,
  value: numberLike,
  tags: anyLabels,
  database_type: shortTextLike,
  instance_id: shortTextLike,
  timestamp: anyTimestamp,
  id: shortTextLike,
};
const attributesLike = fc.oneof(
  fc.dictionary(fc.string({ maxLength: 5 }), anyJson, { maxKeys: 3 }),
  fc.constantFrom<unknown>(null, [], "x", { k: 1 }, { message: "x" }),
);
const messageLike = fc.oneof(
  { weight: 20, arbitrary: textNear(40) },
  { weight: 1, arbitrary: textNear(MAX_MESSAGE_BYTES) },
  { weight: 3, arbitrary: fc.constantFrom<unknown>(null, 1, {}, ["x"]) },
);

const kinds: Kind[] = [
  {
    name: "metric",
    shape: metricInputShape,
    validate: validateMetric,
    inputs: nearValid(
      fc.constantFrom<Fields>(
        { name: "cpu", value: 1 },
        {
          name: "cpu",
          value: 0.5,
          labels: { host: "a", core: 3, on: true },
          timestamp: "2026-11-21T09:59:59Z",
          id: "m-1",
        },
      ),
      metricFields,
    ),
  },
  {
    name: "metric in the database form",
    shape: metricInputShape,
    validate: validateMetric,
    inputs: nearValid(
      fc.constantFrom<Fields>(
        { metric_name: "connections", value: 7 },
        {
          metric_name: "connections",
          value: 7,
          database_type: "postgresql",
          instance_id: "db-1",
          tags: { pool: "a" },
          timestamp: 1_795_255_200,
        },
      ),
      { ...databaseFields, ...metricFields },
    ),
  },
  {
    name: "log",
    shape: logInputShape,
    validate: validateLog,
    inputs: nearValid(
      fc.constantFrom<Fields>(
        { message: "started" },
        {
          message: "started",
          level: "warning",
          service: "api",
          host: "web-1",
          timestamp: 1_795_255_200_000,
          id: "l-1",
          attributes: { k: 1 },
          trace: "x",
        },
      ),
      {
        message: messageLike,
        level: nameLike,
        service: shortTextLike,
        host: shortTextLike,
        timestamp: anyTimestamp,
        id: shortTextLike,
        attributes: attributesLike,
      },
    ),
  },
  {
    name: "event",
    shape: eventInputShape,
    validate: validateEvent,
    inputs: nearValid(
      fc.constantFrom<Fields>(
        { event_type: "order.paid", data: { total: 12 } },
        {
          event_type: "order.paid",
          data: null,
          timestamp: "2026-11-21",
          id: "e-1",
          key: "k",
          attributes: { k: [1] },
          source: "shop",
        },
      ),
      {
        event_type: nameLike,
        data: anyJson,
        key: shortTextLike,
        id: shortTextLike,
        timestamp: anyTimestamp,
        attributes: attributesLike,
      },
    ),
  },
];

describe.each(kinds)("$name", ({ shape, validate, inputs }) => {
  it("is accepted by the zod shape and by the hand-written check alike", () => {
    let accepted = 0;
    fc.assert(
      fc.property(inputs, (input) => {
        const byHand = validate(input, CONSUMER);
        if (byHand.ok) accepted++;
        expect({ accepted: byHand.ok, input }).toEqual({ accepted: shape.safeParse(input).success, input });
      }),
      RUNS,
    );
    // The generator must reach both sides, or the property says nothing.
    expect(accepted / RUNS.numRuns).toBeGreaterThan(0.15);
    expect(accepted / RUNS.numRuns).toBeLessThan(0.85);
  });

  it("keeps a form that is valid input itself, and checking that again changes nothing", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const first = validate(input, CONSUMER);
        if (!first.ok) return;
        // What the consumer reads is what JSON made of it.
        const sent: unknown = JSON.parse(JSON.stringify(first.value));
        expect(shape.safeParse(sent).success).toBe(true);
        expect(validate(sent, { ...CONSUMER, receivedMs: RECEIVED_MS + 5_000 })).toEqual({
          ok: true,
          value: sent,
        });
      }),
      RUNS,
    );
  });

  it("keeps nothing that JSON would change", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const kept = validate(input, CONSUMER);
        if (!kept.ok) return;
        expect(JSON.parse(JSON.stringify(kept.value))).toEqual(withoutNegativeZero(kept.value));
      }),
      RUNS,
    );
  });

  it("loses no field of what it accepts", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const kept = validate(input, CONSUMER);
        if (!kept.ok) return;
        const found = new Set(leaves(kept.value));
        // An empty id or key says nothing, and must not make all such records one.
        const lost = leaves(expectedOf(input)).filter(
          (leaf) => !found.has(leaf) && !/^(id|key)=""$/.test(leaf),
        );
        expect(lost).toEqual([]);
      }),
      RUNS,
    );
  });

  it("refuses what is no object", () => {
    for (const input of [null, undefined, 1, "x", true, [], [{}]]) {
      expect(validate(input, CONSUMER)).toMatchObject({
        ok: false,
        error: { reason: "not_an_object", path: "" },
      });
      expect(shape.safeParse(input).success).toBe(false);
    }
  });
});

/** The input as the kept form should show it: null is absent, level and time are brought to one form. */
function expectedOf(input: Fields): Fields {
  const { timestamp: _, level: __, metric_name: name, tags, labels, ...rest } = input;
  const known = ["service", "host", "id", "key", "attributes", "database_type", "instance_id"];
  const expected = Object.fromEntries(
    Object.entries(rest).filter(([field, value]) => value !== null || !known.includes(field)),
  );
  if (name !== undefined) expected.name = name;
  // A metric's labels are texts; a log's or an event's unknown field may bear the same name.
  if ("value" in input && ("name" in input || name !== undefined)) {
    expected.labels = asTexts(labels ?? tags ?? {});
    return expected;
  }
  if (labels !== undefined) expected.labels = labels;
  if (tags !== undefined) expected.tags = tags;
  return expected;
}

function asTexts(labels: unknown): Fields {
  return Object.fromEntries(Object.entries(labels as Fields).map(([name, value]) => [name, String(value)]));
}

/** Every leaf with the key it stands at. */
function leaves(value: unknown, key = ""): string[] {
  if (typeof value !== "object" || value === null) return [`${key}=${JSON.stringify(value)}`];
  if (Array.isArray(value)) return value.flatMap((item) => leaves(item, `${key}[]`));
  return Object.entries(value).flatMap(([name, child]) => leaves(child, name));
}

/** JSON has one zero: −0 is the same number to every reader of ours. */
function withoutNegativeZero(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(withoutNegativeZero);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, withoutNegativeZero(child)]));
}
