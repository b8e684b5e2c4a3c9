// What the OTLP tests share: fixtures, messages of any shape drawn from the message types, and the way back from the
// details of kept records to the request.
import { readFileSync } from "node:fs";
import {
  create,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import * as fc from "fast-check";
import type { Result } from "../../../../lib/telemetry/result.ts";
import { OTLP_SIGNALS, otlpRequest, requestSchemas } from "../../../../lib/telemetry/otlp/request.ts";
import type { OtlpRequest, OtlpSignal } from "../../../../lib/telemetry/otlp/request.ts";

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../../fixtures/otlp/${name}`, import.meta.url)));

/** OTLP's published examples, and what Google's encoder makes of them. */
export const EXAMPLES: { name: string; signal: OtlpSignal; json: Uint8Array; bytes: Uint8Array }[] = (
  [
    ["logs", "logs"],
    ["events", "logs"],
    ["metrics", "metrics"],
    ["trace", "traces"],
  ] as const
).map(([name, signal]) => ({
  name,
  signal,
  json: fixture(`${name}.json`),
  bytes: fixture(`${name}.example.bin`),
}));

/** Requests with every field and kind, as Google's encoder writes them (test/fixtures/otlp/encode.py). */
export const GOLDEN = OTLP_SIGNALS.map((signal) => ({ signal, bytes: fixture(`${signal}.bin`) }));

export function valueOf<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.error.reason} ${result.error.path}: ${result.error.message}`);
  return result.value;
}

export const bytesOf = ({ signal, message }: OtlpRequest): Uint8Array =>
  toBinary<DescMessage>(requestSchemas[signal], message);

// Any message

const bits64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const signed64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const idBytes = fc.uint8Array({ maxLength: 16 });
const text = fc.string({ unit: "binary", maxLength: 6 });
/** protobuf-es does not write a −0 where 0 is the default. */
const double = fc.double().map((value) => (Object.is(value, -0) ? 0 : value));

function scalarOf(scalar: ScalarType): fc.Arbitrary<unknown> {
  switch (scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.BYTES:
      return idBytes;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return double;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return signed64;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return bits64;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.nat(2 ** 32 - 1);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.integer();
  }
}

function valueArbitrary(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const single = field.message
    ? messageArbitrary(field.message, depth - 1)
    : field.enum
      ? fc.integer({ min: -1, max: 30 })
      : scalarOf(field.scalar ?? ScalarType.STRING);
  return field.fieldKind === "list" ? fc.array(single, { maxLength: 3 }) : single;
}

/** Any message of a type; below `depth` only scalars. */
function messageArbitrary(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
  const usable = (field: DescField) => field.message === undefined || depth > 0;
  const plain = desc.fields.filter((field) => field.oneof === undefined && usable(field));
  const fields = Object.fromEntries(
    plain.map((field) => [field.localName, fc.option(valueArbitrary(field, depth), { nil: undefined })]),
  );
  for (const oneof of desc.oneofs) {
    const cases = oneof.fields
      .filter(usable)
      .map((field) => valueArbitrary(field, depth).map((value) => ({ case: field.localName, value })));
    fields[oneof.localName] = fc.oneof(fc.constant({ case: undefined }), ...cases);
  }
  return fc.record(fields).map((init) => create(desc, init as never));
}

export const anyRequest: fc.Arbitrary<OtlpRequest> = fc
  .constantFrom(...OTLP_SIGNALS)
  .chain((signal) =>
    messageArbitrary(requestSchemas[signal], 9).map((message) => otlpRequest(signal, message as never)),
  );
