// What is replayed is what died: the same bytes or the same record alone, under its own identity, as a new acceptance.
import { Buffer } from "node:buffer";
import { fromJson, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { FetchedRecord } from "../../../lib/kafka/transport.ts";
import type { StoredDeadLetter } from "../../../lib/storage/storage.ts";
import { decode } from "../../../lib/stream/decode.ts";
import { planBatch } from "../../../lib/stream/plan.ts";
import { planReplay, type Replay } from "../../../lib/stream/replay.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import { ExportLogsServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { otlpToText } from "../../../lib/telemetry/otlp/message.ts";
import { writeWeirField } from "../../../lib/telemetry/otlp/weir-field.ts";

const RECEIVED = Date.parse("2026-11-21T10:00:00.000Z");
const KEY = new TextEncoder().encode("api:web-1");
const ATTEMPT = 77;

const at = (value: Uint8Array | null, key: Uint8Array | null = KEY): FetchedRecord => ({
  offset: 41,
  key,
  value,
  timestampMs: RECEIVED,
  headers: [],
});

const letter = (fields: Partial<StoredDeadLetter>): StoredDeadLetter => ({
  id: "weir-storage/logs.raw/0/2/41/-1",
  group: "weir-storage",
  tenant: "acme",
  topic: "logs.raw",
  incarnation: 0,
  partition: 2,
  offset: 41,
  index: -1,
  originalKey: Buffer.from(KEY).toString("base64"),
  originalValue: null,
  error: "it is bad",
  errorType: "wrong_type",
  attempts: 1,
  deadAt: "2026-11-21T10:00:01.000Z",
  replays: 0,
  ...fields,
});

const base64 = (value: Uint8Array | string) => Buffer.from(value).toString("base64");

const ENTRIES = [{ message: "first" }, { message: "second", id: "own" }, { message: "third" }];

function envelope(): Uint8Array {
  const header = {
    tenant: "acme",
    signal: "logs" as const,
    batch: "batch-1",
    attempt: 5,
    received: new Date(RECEIVED).toISOString(),
    agentVersion: undefined,
  };
  const entries = ENTRIES.map((record, i) => ({ index: i * 10, record }));
  return packEnvelopes(header, entries).envelopes[0]?.value as Uint8Array;
}

function otlp(): Uint8Array {
  const request = fromJson(ExportLogsServiceRequestSchema, {
    resourceLogs: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: "api" } }] },
        scopeLogs: [{ logRecords: ["a", "b", "c"].map((text) => ({ body: { stringValue: text } })) }],
      },
    ],
  });
  const field = { tenant: "acme", batch: "batch-2", receivedMs: RECEIVED, attempt: 5, indices: [3, 4, 9] };
  return new Uint8Array(
    Buffer.concat([toBinary(ExportLogsServiceRequestSchema, request), writeWeirField(field)]),
  );
}

const context = { signal: "logs" as const, defaultTenant: "nobody", nowMs: RECEIVED };

/** As the consumer reads it. */
function read({ key, value }: Replay) {
  const decoded = decode({ ...at(value), key }, context);
  return {
    tenant: decoded.tenant,
    origin: decoded.origin && { ...decoded.origin, indices: [...decoded.origin.indices] },
    messages: decoded.rows.map(({ record }) => (record as { message: string }).message),
  };
}

function replayed(one: StoredDeadLetter, signal: "logs", original: FetchedRecord | undefined): Replay {
  const plan = planReplay(one, signal, original, ATTEMPT);
  if (!plan.ok) throw new Error(plan.reason);
  return plan.replay;
}

describe("a whole message", () => {
  it("goes with its batch and places, as another acceptance", () => {
    const replay = replayed(letter({ originalValue: base64(envelope()) }), "logs", undefined);
    expect(replay.key).toEqual(KEY);
    expect(replay.acceptance).toEqual({ tenant: "acme", signal: "logs", records: 3 });
    expect(read(replay)).toEqual({
      tenant: "acme",
      origin: { batch: "batch-1", attempt: ATTEMPT, receivedMs: RECEIVED, indices: [0, 10, 20] },
      messages: ["first", "second", "third"],
    });
  });

  it.each([
    ["bytes", (value: Uint8Array) => value],
    [
      "text, for a transport that carries nothing else",
      (value: Uint8Array) => Buffer.from(otlpToText(value)),
    ],
  ])("of OTLP as %s stays that", (_, form) => {
    const replay = replayed(letter({ originalValue: base64(form(otlp())) }), "logs", undefined);
    expect(String.fromCharCode(replay.value[0] ?? 0)).toBe(String.fromCharCode(form(otlp())[0] ?? 0));
    expect(replay.acceptance).toEqual({ tenant: "acme", signal: "logs", records: 3 });
    expect(read(replay)).toMatchObject({
      tenant: "acme",
      origin: { batch: "batch-2", attempt: ATTEMPT, indices: [3, 4, 9] },
      messages: ["a", "b", "c"],
    });
  });

  it("that nobody can read goes as it is, and nobody has accepted it", () => {
    for (const value of ["not JSON", '{"message":"bare"}', '[{"message":"bare"}]', '{"v":9,"entries":[]}']) {
      const replay = replayed(letter({ originalValue: base64(value) }), "logs", undefined);
      expect(Buffer.from(replay.value).toString()).toBe(value);
      expect(replay.acceptance).toBeUndefined();
    }
  });

  it("of which no bytes were kept is taken from the log", () => {
    expect(read(replayed(letter({}), "logs", at(envelope()))).messages).toHaveLength(3);
    expect(planReplay(letter({}), "logs", undefined, ATTEMPT)).toMatchObject({ ok: false });
    expect(planReplay(letter({}), "logs", at(null), ATTEMPT)).toMatchObject({ ok: false });
  });
});

describe("one record", () => {
  const second = letter({ index: 1, originalValue: base64(JSON.stringify(ENTRIES[1])) });

  it("goes alone, under its own place", () => {
    const replay = replayed(second, "logs", at(envelope()));
    expect(replay.acceptance).toEqual({ tenant: "acme", signal: "logs", records: 1 });
    expect(read(replay)).toEqual({
      tenant: "acme",
      origin: { batch: "batch-1", attempt: ATTEMPT, receivedMs: RECEIVED, indices: [10] },
      messages: ["second"],
    });
  });

  it("of OTLP goes with its resource", () => {
    const replay = replayed(letter({ index: 2, originalValue: null }), "logs", at(otlp()));
    expect(replay.acceptance).toEqual({ tenant: "acme", signal: "logs", records: 1 });
    expect(read(replay)).toMatchObject({ origin: { batch: "batch-2", attempt: ATTEMPT, indices: [9] } });
    expect(read(replay).messages).toEqual(["c"]);
    const decoded = decode(at(replay.value), context);
    expect(decoded.rows[0]?.record).toMatchObject({ service: "api" });
  });

  it("of a bare message goes bare", () => {
    const bare = Buffer.from(JSON.stringify(ENTRIES));
    const replay = replayed(second, "logs", at(bare));
    expect(JSON.parse(Buffer.from(replay.value).toString())).toEqual(ENTRIES[1]);
    expect(replay.acceptance).toBeUndefined();
  });

  it.each([
    ["is gone", undefined],
    ["has another key", at(envelope(), new TextEncoder().encode("other"))],
    ["is another one", at(Buffer.from('[{"message":"x"},{"message":"y"}]'))],
    ["holds fewer", at(Buffer.from("[]"))],
    ["cannot be read", at(Buffer.from("{"))],
  ])("whose message %s is skipped", (_, original) => {
    expect(planReplay(second, "logs", original, ATTEMPT)).toMatchObject({ ok: false });
  });
});

it("counts once beside the client's own retry, since the identity is the same", () => {
  const plan = (values: Uint8Array[]) =>
    planBatch(
      values.map((value) => decode(at(value), context)),
      {
        group: "g",
        topic: "logs.raw",
        partition: 2,
        position: { nextOffset: 0, incarnation: 0, epoch: 0, mark: null, watermarkMs: 0 },
        deadLetterTopic: "logs.dlq",
        lateTopic: "logs.late",
        rawFloorDay: 0,
        nowMs: RECEIVED,
        known: [],
      },
    );
  const replay = replayed(letter({ index: 1 }), "logs", at(envelope()));
  const { ledger } = plan([replay.value, envelope()]);
  expect(ledger).toMatchObject([{ stored: 3, deduplicated: 1, redelivered: 0 }]);
});
