// Mutated bodies as requests to the deployed worker: it answers each of them, and never with a fault of its own.
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import events from "../fixtures/otlp/events.json" with { type: "json" };
import logs from "../fixtures/otlp/logs.json" with { type: "json" };
import metrics from "../fixtures/otlp/metrics.json" with { type: "json" };
import trace from "../fixtures/otlp/trace.json" with { type: "json" };
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { send } from "../support/worker/client.ts";
import { makeTopic } from "../support/worker/topic-messages.ts";
import { bodyMaker } from "./bodies/body-maker.ts";
import type { FuzzCase } from "./bodies/fuzz-case.ts";
import { encodeText } from "./bodies/mutate-bytes.ts";
import { createSeeds, EXAMPLES_MS } from "./bodies/seeds.ts";

/** Received now: without a time of their own they are taken. */
const timeless = (value: unknown) => JSON.stringify(value).replaceAll(/"1544712\d{12}"/g, '"0"');

const seeds = createSeeds(
  {
    otlpJson: [
      { signal: "logs", text: timeless(logs) },
      { signal: "logs", text: timeless(events) },
      { signal: "metrics", text: timeless(metrics) },
      { signal: "traces", text: timeless(trace) },
    ],
    otlp: [],
    writes: [],
  },
  Date.now(),
)
  .filter(({ decoder }) => decoder.startsWith("/"))
  .map((seed) => ({ ...seed, bytes: recent(seed.bytes, seed.format) }));

/** Records of JSON with the time of receipt. */
function recent(bytes: Uint8Array, format: string): Uint8Array<ArrayBuffer> {
  if (format === "protobuf" || format === "write") return new Uint8Array(bytes);
  const text = new TextDecoder()
    .decode(bytes)
    .replaceAll(/"2018-12-13T14:51:00\.300Z"|1544712660\.3/g, "null");
  return encodeText(text);
}

const make = bodyMaker(seeds, { heavyOneIn: 0 });
const BODIES = 800;
const BODIES_WITHOUT_KAFKA = 60;

async function statusOf(
  { decoder, headers, body }: FuzzCase,
  settings: Record<string, string> = {},
): Promise<number> {
  const response = await send(decoder, { method: "POST", headers, body }, settings);
  await response.arrayBuffer();
  return response.status;
}

beforeAll(() => makeTopic("traces.raw"));
afterEach(healKafka);

describe("mutated requests", () => {
  it("are answered, and never with a 5xx", async () => {
    const statuses = new Map<number, number>();
    const faults: unknown[] = [];
    for (let body = 0; body < BODIES; body++) {
      const given = make(EXAMPLES_MS, body);
      const status = await statusOf(given);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status >= 500) faults.push({ body, status, decoder: given.decoder, headers: given.headers });
    }
    expect(faults).toEqual([]);
    for (const status of [200, 202, 204, 207, 400, 415])
      expect(statuses.get(status), `${status}`).toBeGreaterThan(0);
  });

  it("are answered with 503 at the worst while Kafka fails, and nothing is kept", async () => {
    await failKafka({ method: "POST", path: "/topics", times: 100_000, kind: "refuse", status: 500 });
    const statuses = new Set<number>();
    for (let body = 0; body < BODIES_WITHOUT_KAFKA; body++)
      statuses.add(await statusOf(make(1, body), { SPILL: "off" }));
    expect([...statuses].filter((status) => status >= 500)).toEqual([503]);
  });
});
