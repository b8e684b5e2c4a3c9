// The example in functions/handlers does what its comment says.
import { expect, it } from "vitest";
import { handlers } from "../../../functions/handlers/index.ts";
import { processRows } from "../../../lib/processors/process-rows.ts";
import type { Event } from "../../../lib/telemetry/event.ts";

const run = (data: Event["data"]) =>
  processRows(
    {
      metrics: [],
      logs: [],
      traces: [],
      events: [
        {
          tenant: "acme",
          offset: 0,
          index: 0,
          record: {
            timestamp: "2026-11-21T10:00:00.000Z",
            event_type: "example.order_placed",
            data,
            key: "c-1",
          },
        },
      ],
    },
    { services: new Map(), handlers: new Map(Object.entries(handlers)), logsProcessed: false },
  );

it("gives an order a size, windows its amount, and tells of a large one", () => {
  const { rows, samples, processed, dead } = run({ order: "o-1", amount: 1250.5, currency: "EUR" });
  expect(dead).toEqual([]);
  expect(rows.events[0]?.record.attributes).toEqual({ "order.size": "large" });
  expect(samples).toMatchObject([
    { name: "example.order.amount", labels: { currency: "EUR" }, value: { kind: "number", value: 1250.5 } },
  ]);
  expect(processed[0]?.entries).toMatchObject([
    {
      index: 0,
      record: {
        event_type: "example.large_order",
        key: "c-1",
        data: { order: "o-1", amount: 1250.5, tenant: "acme" },
      },
    },
  ]);
  expect(run({ amount: 5 }).processed).toEqual([]);
});

it("fails for an order without an amount", () => {
  expect(run({ order: "o-1" }).dead).toMatchObject([{ fault: { error: "data.amount must be a number" } }]);
});
