// Whatever a message holds: nothing throws, the record that came stays as it was, what is added is bounded, and the work
// grows with the message's length and no faster (counted in steps; no clock).
import { describe, expect, it } from "vitest";
import { MAX_FIELD_CHARS, MAX_FIELDS } from "../../../lib/processors/fields.ts";
import { parseMessage } from "../../../lib/processors/parse-message.ts";
import { processLog } from "../../../lib/processors/process-log.ts";
import { Reader } from "../../../lib/processors/reader.ts";
import { checkJsonValue, type JsonObject, type JsonValue } from "../../../lib/telemetry/json-value.ts";
import type { Log } from "../../../lib/telemetry/log.ts";
import { utf8Bytes } from "../../../lib/telemetry/text.ts";

const NO_SERVICES = { services: new Map() };
const MAX_CHARS = 256 * 1024;

const logOf = (message: string): Log => ({
  timestamp: "2026-11-21T10:00:00.000Z",
  level: "INFO",
  message,
  attributes: { given: { deep: [1, 2] } },
});

const textOf = (value: JsonValue | undefined) => (typeof value === "string" ? value : JSON.stringify(value));

function expectBounded(message: string): JsonObject {
  const log = logOf(message);
  const before = structuredClone(log);
  const processed = processLog(log, NO_SERVICES);
  expect(log).toEqual(before);
  expect(processed).toMatchObject({ message, timestamp: before.timestamp });
  expect(processLog(log, NO_SERVICES)).toEqual(processed);
  const { attributes } = processed;
  expect(checkJsonValue(attributes, "attributes")).toBeUndefined();
  expect(attributes.given).toEqual(before.attributes.given);
  const added = Object.entries(attributes).filter(([name]) => name !== "given");
  // The fields, and trace_id, span_id, log.format, log.fields_cut, fingerprint.
  expect(added.length).toBeLessThanOrEqual(MAX_FIELDS + 5);
  let chars = 0;
  for (const [name, value] of added) {
    expect(utf8Bytes(name)).toBeLessThanOrEqual(200);
    if (typeof value === "string") expect(utf8Bytes(value)).toBeLessThanOrEqual(1_024);
    else expect(["number", "boolean"]).toContain(typeof value);
    expect(textOf(value)).not.toContain("\0");
    chars += name.length + textOf(value).length;
  }
  expect(chars).toBeLessThanOrEqual(MAX_FIELD_CHARS + 500);
  for (const text of [processed.level, processed.service ?? "", processed.host ?? ""]) {
    expect(utf8Bytes(text)).toBeLessThanOrEqual(1_024);
    expect(text.isWellFormed()).toBe(true);
  }
  return attributes;
}

const fill = (part: string, length: number) => part.repeat(Math.ceil(length / part.length)).slice(0, length);

const CLF = '127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "';
const SYSLOG = "<34>1 2003-10-11T22:14:15.003Z h a - - ";

/** Each would cost the square of its length where a parser goes back. */
const ADVERSARIAL: [name: string, make: (length: number) => string][] = [
  ["one letter", (n) => fill("a", n)],
  ["spaces", (n) => fill(" ", n)],
  ["spaces before JSON", (n) => `${fill(" ", n - 2)}{}`],
  ["names alone", (n) => fill("a ", n)],
  ["pairs", (n) => fill("a=b ", n)],
  [
    "pairs of other names",
    (n) =>
      Array.from({ length: n / 8 }, (_, i) => `${i.toString(36)}=1`)
        .join(" ")
        .slice(0, n),
  ],
  ["pairs without values", (n) => fill("a= ", n)],
  ["equals signs", (n) => `a${fill("=", n - 1)}`],
  ["quotes", (n) => `a="${fill('"', n - 3)}`],
  ["quotes that do not end", (n) => fill('a="', n)],
  ["backslashes", (n) => `a="${fill("\\", n - 3)}`],
  ["escapes", (n) => `a="${fill("\\u00e9", n - 10)}" b=1`],
  ["many words, then a bracket", (n) => `${fill("a ", n - 2)} [`],
  ["brackets", (n) => `a b c ${fill("[", n - 6)}`],
  ["a request that does not end", (n) => CLF + fill('\\"', n - CLF.length)],
  ["a request of spaces", (n) => `${CLF}${fill(" ", n - 60)}" 200 1`],
  ["a status that does not end", (n) => `${CLF}x" ${fill("2", n - 60)}`],
  ["a priority that does not end", (n) => `<${fill("1", n - 1)}`],
  ["angle brackets", (n) => fill("<", n)],
  ["structured data that does not end", (n) => SYSLOG + fill("[", n - SYSLOG.length)],
  ["structured elements", (n) => SYSLOG + fill('[a b="c"]', n - SYSLOG.length)],
  ["structured values", (n) => `${SYSLOG}[a${fill(' b="c"', n - 60)}] x`],
  ["a structured name that does not end", (n) => `${SYSLOG}[a ${fill("b", n - 60)}`],
  ["a tag that does not end", (n) => `<34>Oct 11 22:14:15 h ${fill("t", n - 30)}`],
  ["objects within objects", (n) => `${fill('{"a":', n / 2)}1${fill("}", n / 10)}`],
  ["objects in a row", (n) => `{"a":[${fill("{},", n - 10)}0]}`],
  ["fields", (n) => `{${Array.from({ length: n / 12 }, (_, i) => `"${i}":1`).join(",")}}`],
  [
    "a long name over many",
    (n) => `{"${fill("k", n / 2)}":{${Array.from({ length: n / 24 }, (_, i) => `"${i}":1`).join(",")}}}`,
  ],
  [
    "long names over many, deeper",
    (n) => {
      const inner = `{${Array.from({ length: n / 24 }, (_, i) => `"${i}\\u0001":1`).join(",")}}`;
      return `{"${fill("k", 190)}":${inner}}`;
    },
  ],
  ["lists within lists", (n) => `{"a":${fill("[", n / 2 - 4)}${fill("]", n / 2 - 4)}}`],
  ["long integers", (n) => `{"a":[${fill("12345678901234567890,", n - 10)}0]}`],
  ["single quotes that do not end", (n) => fill("'a ", n)],
  ["hexadecimal", (n) => fill("0x", n)],
  ["colons", (n) => fill("1:", n)],
  ["almost UUIDs", (n) => fill("550e8400-e29b-41d4-a716-44665544000x-", n)],
  ["NULs", (n) => `{"a":"${fill("\\u0000", n - 8)}"}`],
  ["lone surrogates", (n) => `{"a":"${fill("\\ud800", n - 8)}","\\udc00":1}`],
  ["wide characters", (n) => `{"a":"${fill("漢😀", n - 8)}"}`],
];

describe("256 KiB of", () => {
  it.each(ADVERSARIAL)("%s", (_, make) => {
    const steps = [4, 2, 1].map((part) => {
      const reader = new Reader(make(MAX_CHARS / part));
      parseMessage(reader);
      expect(reader.steps).toBeLessThanOrEqual(reader.text.length * 16 + 2_000);
      return reader.steps;
    });
    // Twice the length, no more than twice the steps.
    expect(steps[2]).toBeLessThanOrEqual((steps[1] as number) * 2.2 + 1_000);
    expect(steps[1]).toBeLessThanOrEqual((steps[0] as number) * 2.2 + 1_000);
    expectBounded(make(MAX_CHARS));
  });
});

it("cuts values with a mark, and leaves no half of a pair", () => {
  for (const unit of ["a", "é", "漢", "😀", "a😀"]) {
    const value = textOf(expectBounded(JSON.stringify({ v: unit.repeat(2_000) })).v);
    expect(value.endsWith("…")).toBe(true);
    expect(utf8Bytes(value)).toBeGreaterThan(1_000);
    expect(value.slice(0, 100)).toBe(unit.repeat(100).slice(0, 100));
  }
});

it("tells that fields were left out", () => {
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`f${i}`, i]));
  expect(expectBounded(JSON.stringify(many))["log.fields_cut"]).toBe(true);
  delete many.f0;
  expect(expectBounded(JSON.stringify(many))["log.fields_cut"]).toBeUndefined();
  expect(expectBounded(JSON.stringify({ ["n".repeat(201)]: 1 }))["log.fields_cut"]).toBe(true);
});

it("takes no name that means something else to a reader", () => {
  const attributes = expectBounded(
    '{"__proto__":{"polluted":1},"constructor":{"prototype":1},"toString":"x"}',
  );
  expect(Object.keys(attributes).toSorted()).toEqual(
    ["constructor.prototype", "fingerprint", "given", "log.fields_cut", "log.format", "toString"].toSorted(),
  );
  expect(Object.getPrototypeOf(attributes)).toBe(Object.prototype);
  expect("polluted" in {}).toBe(false);
  expectBounded("__proto__=1 b=2 c=3");
  expectBounded('<34>1 - - - - - [__proto__ a="b"] x');
});

describe("messages made by chance", () => {
  const PIECES = [
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "\\",
    ":",
    ",",
    "=",
    " ",
    "<",
    ">",
    "-",
    "/",
    "\n",
    "\t",
    "\0",
    "1",
    "34",
    "a",
    "level",
    "error",
    "msg",
    "trace_id",
    "service",
    "host",
    "null",
    "true",
    "1e999",
    '"a":',
    '{"a":',
    "\\u0000",
    "\\ud800",
    "\ud83d",
    "é",
    "漢",
    "\uFEFF",
    "__proto__",
    "<34>1 ",
    "<13>Oct 11 22:14:15 ",
    "2003-10-11T22:14:15Z ",
    "127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] ",
    '"GET / HTTP/1.1" 200 5 ',
    "a=b ",
    'c="d e" ',
    "@cee:",
    "550e8400-e29b-41d4-a716-446655440000",
    "0x1f",
    "::1",
    "10.0.0.1",
  ];
  // A linear congruential generator (Numerical Recipes): the same messages every time.
  let state = 20261121;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };

  it("are bounded, and read in linear time", () => {
    for (let run = 0; run < 3_000; run++) {
      const message = Array.from({ length: next(40) }, () => PIECES[next(PIECES.length)])
        .join("")
        .toWellFormed();
      const reader = new Reader(message);
      parseMessage(reader);
      expect(reader.steps, message).toBeLessThanOrEqual(message.length * 16 + 200);
      expectBounded(message);
    }
  });

  it("lose nothing of a JSON object's small fields", () => {
    for (let run = 0; run < 500; run++) {
      const fields = Object.fromEntries(
        Array.from({ length: 1 + next(20) }, (_, i) => [
          `k${i}`,
          [next(1e9), next(2) === 0, `v${next(1e6)}`][next(3)],
        ]),
      );
      expect(expectBounded(JSON.stringify(fields))).toMatchObject(fields);
    }
  });
});
