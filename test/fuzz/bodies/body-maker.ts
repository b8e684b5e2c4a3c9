// The body of a number: a seed, changed in the manner of its format, and put into the encodings it may come in.
import { Buffer } from "node:buffer";
import { DECODERS, JSON_TYPE, LINES_TYPE, PROTOBUF_TYPE, type FuzzCase } from "./fuzz-case.ts";
import { HEAVY_BODIES } from "./heavy-bodies.ts";
import { encodeText, joined, mutateBytes, type Bytes } from "./mutate-bytes.ts";
import { encodeBody } from "./mutate-encoding.ts";
import { mutateJson } from "./mutate-json.ts";
import { mutateProtobuf } from "./mutate-protobuf.ts";
import { mutateSnappy, toSnappy } from "./mutate-snappy.ts";
import { Random } from "./random.ts";
import { EXAMPLES_MS, type Seed } from "./seeds.ts";

const ODD_TYPES = [
  "",
  JSON_TYPE,
  PROTOBUF_TYPE,
  LINES_TYPE,
  "text/plain",
  "application/JSON; charset=utf-8",
  "image/png",
  ";",
  "a/b;",
  "application/cloudevents+json",
  "application/cloudevents-batch+json",
  "application/x-protobuf;proto=x",
];
const LINE_ENDS = ["\n", "\n", "\r\n", "\n\n", "\n \t\n", "\n\u0000\n", "\u2028", "\r"];
const ODD_HEADERS = [
  ["ce-specversion", "1.0"],
  ["ce-specversion", "2"],
  ["ce-__proto__", "x"],
  ["ce-constructor", "x"],
  ["ce-data", "x"],
  ["ce-data_base64", "x"],
  ["ce-id", "%"],
  ["ce-id", "%E2%82%AC"],
  ["ce-id", "%ED%A0%80"],
  ["ce-time", "now"],
  ["ce-type", ""],
  ["content-length", "-1"],
  ["content-length", "1e9"],
] as const;

/** Repeated within what is repeated, a body can come to hundreds of megabytes: more than HTTP or a broker would bring. */
const MAX_BYTES = 12 * 1024 * 1024;

export interface BodyOptions {
  /** Once in so many it is a body of megabytes; 0: never. */
  heavyOneIn: number;
}

/** By decoder, so that each gets its share however many seeds it has. */
function groupsOf(seeds: readonly Seed[]): Seed[][] {
  return DECODERS.map((decoder) => seeds.filter((seed) => seed.decoder === decoder)).filter(
    ({ length }) => length > 0,
  );
}

/** @returns what makes the body of a number, always the same one for the same seed and number */
export function bodyMaker(
  seeds: readonly Seed[],
  { heavyOneIn }: BodyOptions,
): (seed: number, body: number) => FuzzCase {
  const groups = groupsOf(seeds);
  return (seed, body) => {
    const random = Random.of(seed, body);
    if (heavyOneIn > 0 && body % heavyOneIn === heavyOneIn - 1) return heavyCase(random);
    const group = random.pick(groups);
    const chosen = random.pick(group);
    const other = random.oneIn(3) ? random.pick(seeds) : random.pick(group);
    const { decoder, headers, nowMs } = chosen;
    const mutated = changed(chosen, other, group, random).subarray(0, MAX_BYTES);
    return dressed({ decoder, headers: { ...headers }, nowMs, body: mutated }, random);
  };
}

function heavyCase(random: Random): FuzzCase {
  const { decoder, headers, make } = random.pick(HEAVY_BODIES);
  const body = make();
  const isChanged = random.oneIn(2);
  return { decoder, headers, nowMs: EXAMPLES_MS, body: isChanged ? mutateBytes(body, random) : body };
}

function changed(seed: Seed, other: Seed, group: readonly Seed[], random: Random): Bytes {
  const { bytes, format, decoder } = seed;
  switch (format) {
    case "json":
      return mutateJson(bytes, random, other.bytes);
    case "lines": {
      if (random.oneIn(2)) return mutateJson(bytes, random, other.bytes);
      const records = group.filter((one) => one.format === "lines");
      const lines = Array.from({ length: random.between(1, 5) }, () =>
        mutateJson(random.pick(records).bytes, random, other.bytes),
      );
      return joined(...lines.flatMap((line) => [line, encodeText(random.pick(LINE_ENDS))]));
    }
    case "protobuf": {
      const mutated = mutateProtobuf(bytes, random, other.bytes);
      if (!decoder.startsWith("message/") || !random.oneIn(6)) return mutated;
      const text = encodeText(`otlp:${Buffer.from(mutated).toString("base64")}`);
      return random.oneIn(3) ? mutateBytes(text, random) : text;
    }
    case "write": {
      if (random.oneIn(3)) return mutateSnappy(bytes, random);
      return toSnappy(mutateProtobuf(bytes, random, other.bytes), random);
    }
  }
}

/** In the encodings and under the headers of HTTP. */
function dressed(given: FuzzCase, random: Random): FuzzCase {
  if (!given.decoder.startsWith("/")) return given;
  const { headers } = given;
  if (given.decoder.startsWith("/api/v1/") && headers["content-type"] === JSON_TYPE && random.oneIn(3))
    headers["content-type"] = LINES_TYPE;
  if (random.oneIn(25)) headers["content-type"] = random.pick(ODD_TYPES);
  if (random.oneIn(25)) {
    const [name, value] = random.pick(ODD_HEADERS);
    headers[name] = value;
  }
  if (given.decoder === "/api/v1/write" || !random.oneIn(7)) return given;
  const { encoding, body } = encodeBody(given.body, random);
  return { ...given, headers: { ...headers, "content-encoding": encoding }, body };
}
