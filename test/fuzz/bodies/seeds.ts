// What is mutated: whole bodies of every form that the decoders take. Fixtures are handed in, since workerd has no files.
import { create, toBinary } from "@bufbuild/protobuf";
import { RequestSchema } from "../../../lib/telemetry/gen/io/prometheus/write/v2/types_pb.ts";
import { WriteRequestSchema } from "../../../lib/telemetry/gen/prometheus/remote_pb.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import { decodeOtlp, encodeOtlp } from "../../../lib/telemetry/otlp/decode.ts";
import { packOtlp } from "../../../lib/telemetry/otlp/pack.ts";
import type { OtlpSignal } from "../../../lib/telemetry/otlp/request.ts";
import type { NativeSignal } from "../../../lib/telemetry/signal.ts";
import { JSON_TYPE, PROTOBUF_TYPE, type Decoder } from "./fuzz-case.ts";
import { encodeText, type Bytes } from "./mutate-bytes.ts";

export interface Seed {
  decoder: Decoder;
  /** How it is mutated; `write` is protobuf that goes into snappy, `lines` JSON that may stand on lines. */
  format: "json" | "lines" | "protobuf" | "write";
  headers: Record<string, string>;
  nowMs: number;
  bytes: Bytes;
}

export interface Fixtures {
  otlpJson: readonly { signal: OtlpSignal; text: string }[];
  otlp: readonly { signal: OtlpSignal; bytes: Uint8Array; nowMs: number }[];
  /** Without their compression. */
  writes: readonly { version: "v1" | "v2"; bytes: Uint8Array; nowMs: number }[];
}

/** The time in OTLP's published examples. */
export const EXAMPLES_MS = 1_544_712_660_300;
const TIME = "2018-12-13T14:51:00.300Z";

export const WRITE_HEADERS = {
  v1: { "content-type": PROTOBUF_TYPE, "content-encoding": "snappy" },
  v2: {
    "content-type": `${PROTOBUF_TYPE};proto=io.prometheus.write.v2.Request`,
    "content-encoding": "snappy",
  },
};

const LOG = { message: "a", level: "warning", service: "api", host: "web-1", timestamp: TIME, id: "1" };
const METRIC = { name: "cpu", value: 0.5, labels: { host: "web-1", core: "0" }, timestamp: 1_544_712_660.3 };
const DATABASE = {
  timestamp: TIME,
  database_type: "pg",
  instance_id: "db-1",
  metric_name: "tps",
  value: 12,
  tags: { a: "b" },
};
const EVENT = { event_type: "order.paid", data: { id: 7, lines: [1, "x", null, true] }, id: "e-1", key: "k" };
const CLOUD_EVENT = {
  specversion: "1.0",
  type: "t",
  source: "/s",
  id: "1",
  time: TIME,
  data: { a: [1, 2] },
  subject: "x",
};

const RECORDS: Record<NativeSignal, object[]> = {
  logs: [LOG, { ...LOG, attributes: { user: { id: 1, tags: ["a"] } }, extra: [1, { b: null }] }],
  metrics: [METRIC, DATABASE, { name: "n", value: -0, labels: { a: true, b: 1.5 }, id: "x" }],
  events: [EVENT, { event_type: "e", data: null, extra: { deep: [[1]] }, attributes: { service: "s" } }],
};
const LISTS: Record<NativeSignal, string> = { logs: "entries", metrics: "metrics", events: "events" };

const encode = (value: unknown): Bytes => encodeText(JSON.stringify(value));

/** @param writesMs the time in the requests of remote write, for which no fixture is needed */
export function createSeeds(fixtures: Fixtures, writesMs = EXAMPLES_MS): Seed[] {
  return [
    ...jsonSeeds(),
    ...otlpSeeds(fixtures),
    ...writeSeeds(fixtures, writesMs),
    ...messageSeeds(fixtures),
    ...otherSeeds(),
  ];
}

function jsonSeeds(): Seed[] {
  const seeds: Seed[] = [];
  const add = (decoder: Decoder, value: unknown, format: Seed["format"], contentType: string) =>
    seeds.push({
      decoder,
      format,
      headers: { "content-type": contentType },
      nowMs: EXAMPLES_MS,
      bytes: encode(value),
    });
  for (const signal of ["logs", "metrics", "events"] as const) {
    const records = RECORDS[signal];
    const decoder = `/api/v1/${signal}` as const;
    for (const record of records) add(decoder, record, "lines", JSON_TYPE);
    add(decoder, records, "json", JSON_TYPE);
    add(decoder, { [LISTS[signal]]: records, agent_version: "1" }, "json", JSON_TYPE);
  }
  add("/api/v1/events", CLOUD_EVENT, "json", "application/cloudevents+json");
  add(
    "/api/v1/events",
    [CLOUD_EVENT, { ...CLOUD_EVENT, data: undefined, data_base64: "AAE=" }],
    "json",
    "application/cloudevents-batch+json",
  );
  add("/kafka/publish", { ...EVENT, topic: "events.raw" }, "json", JSON_TYPE);
  const binary = { "ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": "1" };
  seeds.push({
    decoder: "/api/v1/events",
    format: "json",
    headers: { ...binary, "content-type": JSON_TYPE, "ce-time": TIME },
    nowMs: EXAMPLES_MS,
    bytes: encode(CLOUD_EVENT.data),
  });
  return seeds;
}

function otlpSeeds({ otlpJson, otlp }: Fixtures): Seed[] {
  const json = otlpJson.map(({ signal, text }): Seed => {
    const headers = { "content-type": JSON_TYPE };
    const bytes = encode(JSON.parse(text));
    return { decoder: `/v1/${signal}`, format: "json", headers, nowMs: EXAMPLES_MS, bytes };
  });
  const binary = otlpProtobuf({ otlpJson, otlp }).map(({ signal, bytes, nowMs }): Seed => {
    const headers = { "content-type": PROTOBUF_TYPE };
    return { decoder: `/v1/${signal}`, format: "protobuf", headers, nowMs, bytes };
  });
  return [...json, ...binary];
}

function otlpProtobuf({ otlpJson, otlp }: Pick<Fixtures, "otlp" | "otlpJson">) {
  const given = otlp.map(({ signal, bytes, nowMs }) => ({ signal, nowMs, bytes: new Uint8Array(bytes) }));
  const made = otlpJson.map(({ signal, text }) => {
    const request = decodeOtlp(signal, "json", encode(JSON.parse(text)));
    if (!request.ok) throw new Error(`the fixture of ${signal}: ${request.error.message}`);
    return { signal, nowMs: EXAMPLES_MS, bytes: new Uint8Array(encodeOtlp("protobuf", request.value)) };
  });
  return [...given, ...made];
}

const write = (version: "v1" | "v2", bytes: Uint8Array, nowMs: number): Seed => ({
  decoder: "/api/v1/write",
  format: "write",
  headers: WRITE_HEADERS[version],
  nowMs,
  bytes: new Uint8Array(bytes),
});

function writeSeeds({ writes }: Fixtures, atMs: number): Seed[] {
  const timestamp = BigInt(atMs);
  const labels = [
    { name: "__name__", value: "up" },
    { name: "job", value: "api" },
  ];
  const exemplars = [{ labels: [{ name: "trace_id", value: "t" }], value: 1, timestamp }];
  const v1 = create(WriteRequestSchema, {
    timeseries: [{ labels, samples: [{ value: 1n, timestamp }], exemplars }],
    metadata: [{ metricFamilyName: "up", type: 2, help: "h", unit: "u" }],
  });
  const v2 = create(RequestSchema, {
    symbols: ["", "__name__", "up", "job", "api"],
    timeseries: [
      { labelsRefs: [1, 2, 3, 4], samples: [{ value: 1n, timestamp }], metadata: { type: 2, helpRef: 4 } },
    ],
  });
  return [
    write("v1", toBinary(WriteRequestSchema, v1), atMs),
    write("v2", toBinary(RequestSchema, v2), atMs),
    ...writes.map(({ version, bytes, nowMs }) => write(version, bytes, nowMs)),
  ];
}

function messageSeeds(fixtures: Fixtures): Seed[] {
  const seeds: Seed[] = [];
  const base = { headers: {}, nowMs: EXAMPLES_MS };
  for (const signal of ["logs", "metrics", "events"] as const) {
    const header = { tenant: "acme", signal, batch: "b-1", attempt: 0, received: TIME, agentVersion: "1" };
    const entries = RECORDS[signal].map((record, index) => ({ index, record }));
    const [envelope] = packEnvelopes(header, entries).envelopes;
    const decoder = `message/${signal}` as const;
    if (envelope) seeds.push({ ...base, decoder, format: "json", bytes: new Uint8Array(envelope.value) });
    seeds.push({ ...base, decoder, format: "json", bytes: encode(RECORDS[signal]) });
  }
  for (const { signal, bytes, nowMs } of otlpProtobuf(fixtures)) {
    const request = decodeOtlp(signal, "protobuf", bytes);
    if (!request.ok) throw new Error(`the fixture of ${signal}: ${request.error.message}`);
    const header = { tenant: "acme", batch: "b-1", attempt: 7, receivedMs: nowMs };
    const { messages } = packOtlp(
      header,
      request.value,
      () => true,
      () => "k",
    );
    for (const { value } of messages)
      seeds.push({
        ...base,
        decoder: `message/${signal}`,
        format: "protobuf",
        nowMs,
        bytes: new Uint8Array(value),
      });
  }
  return seeds;
}

function otherSeeds(): Seed[] {
  const base = { format: "json" as const, headers: {}, nowMs: EXAMPLES_MS };
  const headers = [
    { name: "h", value: "AAE=", encoding: "base64" },
    { name: "n", value: null },
  ];
  const rules = [
    { path: "attributes.user.*", action: "drop" },
    { pattern: "email", action: "mask" },
    { signals: ["logs"], path: 'labels["a.b"].**', pattern: "/\\d{4,}/i", action: "hash" },
  ];
  return [
    { ...base, decoder: "produce", bytes: encode({ value: "v", key: "k", partition: 0, headers }) },
    {
      ...base,
      decoder: "produce",
      bytes: encode({ value: "AAE=", encoding: "base64", key: "AA==", key_encoding: "base64" }),
    },
    { ...base, decoder: "scrub-rules", bytes: encode(rules) },
  ];
}
