// An example of an event handler. Try it with `npm start` running:
//   curl -X POST http://127.0.0.1:8787/api/v1/events -H 'X-API-Key: weir_dev_local00000000000000000000' \
//     -d '{"event_type":"example.order_placed","data":{"order":"o-1","amount":1250.5,"currency":"EUR"}}'
// It gives the event a size, the windows of `example.order.amount` a value, and tells of large orders in an event.
import type { EventHandler } from "../../lib/processors/event-handler.ts";

const LARGE = 1_000;

export const orderPlaced: EventHandler = {
  handle({ data, key }, { tenant }) {
    const { order, amount, currency } = (data ?? {}) as {
      order?: unknown;
      amount?: unknown;
      currency?: unknown;
    };
    // Whatever is thrown makes a dead letter of this event, with this text beside it.
    if (typeof amount !== "number") throw new Error("data.amount must be a number");
    const isLarge = amount >= LARGE;
    const labels = { currency: typeof currency === "string" ? currency : "unknown" };
    return {
      attributes: { "order.size": isLarge ? "large" : "usual" },
      metrics: [{ name: "example.order.amount", value: amount, labels }],
      events: isLarge
        ? [
            {
              event_type: "example.large_order",
              data: { order: typeof order === "string" ? order : null, amount, tenant },
              ...(key === undefined ? {} : { key }),
            },
          ]
        : [],
    };
  },
};
