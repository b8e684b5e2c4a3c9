// The handlers of events, by `event_type`: add yours here (docs/processors.md). A handler runs in the consumer, for every
// stored event of its type, and must be synchronous and follow from the event alone.
import type { EventHandlers } from "../../lib/processors/event-handler.ts";
import { orderPlaced } from "./example.ts";

export const handlers: EventHandlers = {
  "example.order_placed": orderPlaced,
};
