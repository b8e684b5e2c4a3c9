// Bodies near the limits, of the densest forms: what they cost in time and memory is what bounds an isolate.
import { gzipSync } from "node:zlib";
import { MAX_DECODED_BYTES } from "../../../lib/telemetry/limits.ts";
import { JSON_TYPE, LINES_TYPE, PROTOBUF_TYPE, type Decoder } from "./fuzz-case.ts";
import { filled, type Heavy, type HeavyBody } from "./heavy-body.ts";
import { asJson, asLines } from "./heavy-json.ts";
import { asMessage } from "./heavy-messages.ts";
import { asProtobuf } from "./heavy-otlp.ts";
import { asWrite } from "./heavy-write.ts";
import { joined, type Bytes } from "./mutate-bytes.ts";
import { toSnappy } from "./mutate-snappy.ts";
import { varintBytes, writeFields } from "./protobuf-tree.ts";
import { Random } from "./random.ts";
import { WRITE_HEADERS } from "./seeds.ts";

const json = { "content-type": JSON_TYPE };
const lines = { "content-type": LINES_TYPE };
const protobuf = { "content-type": PROTOBUF_TYPE };

const header =
  (headers: Record<string, string>) =>
  ([name, decoder, make]: Heavy): HeavyBody => ({ name, decoder, headers, make });

/** Zipped, what is sent is small and what is decoded is at the limit. */
const zipped: HeavyBody[] = [
  ["white space", "/api/v1/logs", json, () => filled(" ", MAX_DECODED_BYTES, "{", "}")],
  ["blank lines", "/api/v1/logs", lines, () => filled("\n", MAX_DECODED_BYTES, "{}")],
  ["line ends before a fault", "/api/v1/events", json, () => filled("\n", MAX_DECODED_BYTES, "{", "x")],
  [
    "a text",
    "/api/v1/events",
    json,
    () => filled("é", MAX_DECODED_BYTES - 99, '{"event_type":"e","data":"', '"}'),
  ],
  [
    "fraction digits",
    "/v1/logs",
    json,
    () => filled("1", MAX_DECODED_BYTES, '{"x":1234567890123456,"y":0.', "}"),
  ],
  ["zeros", "/v1/logs", protobuf, () => new Uint8Array(MAX_DECODED_BYTES)],
].map(([name, decoder, headers, make]): HeavyBody => ({
  name: `zipped ${name as string}`,
  decoder: decoder as Decoder,
  headers: { ...(headers as Record<string, string>), "content-encoding": "gzip" },
  make: () => new Uint8Array(gzipSync((make as () => Bytes)())),
}));

export const HEAVY_BODIES: readonly HeavyBody[] = [
  ...asJson.map(header(json)),
  ...asLines.map(header(lines)),
  ...asProtobuf.map(header(protobuf)),
  ...asMessage.map(header({})),
  ...asWrite.map(([name, version, make]): HeavyBody => ({
    name,
    decoder: "/api/v1/write",
    headers: WRITE_HEADERS[version],
    make: () => toSnappy(writeFields(make()), new Random(1)),
  })),
  ...zipped,
  // 3 bytes that make 64, up to the limit of what is decoded.
  {
    name: "snappy's copies",
    decoder: "/api/v1/write",
    headers: WRITE_HEADERS.v1,
    make: () => {
      const copies = Math.floor((MAX_DECODED_BYTES - 1) / 64);
      const copy = Uint8Array.of(2 | (63 << 2), 1, 0);
      const elements = new Uint8Array(copies * 3);
      for (let i = 0; i < elements.length; i += 3) elements.set(copy, i);
      return joined(varintBytes(BigInt(copies * 64 + 1)), Uint8Array.of(0, 0x0a), elements);
    },
  },
];
