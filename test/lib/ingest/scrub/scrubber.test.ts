// Rules on records in the JSON forms: what goes, what stays, and that a reader takes what is left.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createScrubber, type Scrubber } from "../../../../lib/ingest/scrub/scrubber.ts";
import type { Event } from "../../../../lib/telemetry/event.ts";
import type { Log } from "../../../../lib/telemetry/log.ts";
import type { Metric } from "../../../../lib/telemetry/metric.ts";
import { validateRecord, type NativeRecord, type NativeSignal } from "../../../../lib/telemetry/signal.ts";

const TIME = "2026-11-21T10:00:00.000Z";
const HASH = /^\[hash:[0-9a-f]{16}\]$/;

function open(rules: unknown, salt?: string): Scrubber {
  const made = createScrubber(JSON.stringify(rules), salt);
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  return made.value!;
}

function scrub<R extends NativeRecord>(scrubber: Scrubber, signal: NativeSignal, record: R): R {
  const copy = structuredClone(record);
  scrubber.scrubRecord(signal, copy, scrubber.newCounts());
  return copy;
}

const log = (fields: Partial<Log> = {}): Log => ({
  timestamp: TIME,
  level: "INFO",
  message: "hello",
  attributes: {},
  ...fields,
});
const metric = (labels: Record<string, string>, fields: Partial<Metric> = {}): Metric => ({
  timestamp: TIME,
  name: "requests",
  value: 1,
  labels,
  ...fields,
});

describe("the settings", () => {
  it("without rules make no scrubber", () => {
    expect(createScrubber(undefined, undefined)).toEqual({ ok: true, value: undefined });
    expect(createScrubber("[]", undefined)).toEqual({ ok: true, value: undefined });
  });

  it.each([
    ["{", [""]],
    ['{"action":"mask"}', [""]],
    ['[{"action":"mask"}]', ["[0]"]],
    ['[{"action":"erase","pattern":"email"}]', ["[0].action"]],
    [
      '[{"action":"mask","pattern":"mail"},{"action":"mask","pattern":"/(/"}]',
      ["[0].pattern", "[1].pattern"],
    ],
    ['[{"action":"mask","pattern":"/a/y"}]', ["[0].pattern"]],
    [`[{"action":"mask","pattern":"/${"a".repeat(500)}/"}]`, ["[0].pattern"]],
    ['[{"action":"mask","path":"a..b"}]', ["[0].path"]],
    ['[{"action":"mask","path":""}]', ["[0].path"]],
    ['[{"action":"mask","path":"a["}]', ["[0].path"]],
    ['[{"action":"drop","path":"timestamp"}]', ["[0].path"]],
    ['[{"action":"mask","pattern":"email","signals":["spans"]}]', ["[0].signals[0]"]],
    ['[{"action":"mask","pattern":"email","where":"here"}]', ["[0]"]],
    ['[{"action":"mask","pattern":"email"},{"action":"hash","pattern":"email"}]', ["[1].action"]],
  ])("%s is refused, each fault by its place", (json, paths) => {
    const made = createScrubber(json, undefined);
    expect(made.ok).toBe(false);
    if (!made.ok) expect([...new Set(made.error.map(({ path }) => path))].toSorted()).toEqual(paths);
  });

  it("never repeat what they hold", () => {
    const made = createScrubber('[{"action":"mask","pattern":"/s3cret(/","path":"a..s3cret"}]', undefined);
    expect(JSON.stringify(made)).not.toContain("s3cret");
  });
});

describe("a pattern without a path", () => {
  const emails = open([{ action: "mask", pattern: "email" }]);

  it("masks its part of every text, keys too", () => {
    const before = log({
      message: "from bob@x.io to eve@x.io",
      service: "bob@x.io",
      attributes: { user: { mail: ["bob@x.io", 7, null] }, "of bob@x.io": true },
    });
    expect(scrub(emails, "logs", before)).toEqual(
      log({
        message: "from [masked] to [masked]",
        service: "[masked]",
        attributes: { user: { mail: ["[masked]", 7, null] }, "of [masked]": true },
      }),
    );
  });

  it("reaches metrics and events whole", () => {
    const counted = metric(
      { user: "bob@x.io", "bob@x.io": "1" },
      { name: "of bob@x.io", detail: { a: ["bob@x.io"] } },
    );
    expect(scrub(emails, "metrics", counted)).toEqual(
      metric({ user: "[masked]", "[masked]": "1" }, { name: "of [masked]", detail: { a: ["[masked]"] } }),
    );
    const event: Event = {
      timestamp: TIME,
      event_type: "signup",
      data: "bob@x.io",
      key: "bob@x.io",
      id: "bob@x.io",
    };
    // Records masked alike would count as one, so an identity goes.
    expect(scrub(emails, "events", event)).toEqual({
      timestamp: TIME,
      event_type: "signup",
      data: "[masked]",
    });
  });

  it("keeps both values where two keys become one", () => {
    const { attributes } = scrub(
      emails,
      "logs",
      log({ attributes: { "a@x.io": 1, "b@x.io": 2, "[masked]": 3 } }),
    );
    expect(new Set(Object.values(attributes))).toEqual(new Set([1, 2, 3]));
  });

  it("of another signal does nothing", () => {
    const only = open([{ action: "mask", pattern: "email", signals: ["traces", "metrics"] }]);
    expect(scrub(only, "logs", log({ message: "bob@x.io" })).message).toBe("bob@x.io");
  });

  it("drops the field that holds a find", () => {
    const dropping = open([{ action: "drop", pattern: "email" }]);
    const before = log({
      message: "bob@x.io",
      host: "bob@x.io",
      attributes: { a: ["bob@x.io", "b"], c: "bob@x.io" },
    });
    expect(scrub(dropping, "logs", before)).toEqual(log({ message: "", attributes: { a: ["b"] } }));
    expect(scrub(dropping, "metrics", metric({ user: "bob@x.io" }, { name: "bob@x.io" }))).toEqual(
      metric({}, { name: "[masked]" }),
    );
  });

  it("hashes alike what is alike, by the salt", () => {
    const rules = [{ action: "hash", pattern: "email" }];
    const hashed = (salt: string, text: string) => scrub(open(rules, salt), "logs", log({ id: text })).id;
    expect(hashed("salt", "bob@x.io")).toMatch(HASH);
    // HMAC-SHA-256 of `bob@x.io` under `salt`, its first 16 digits (openssl dgst -sha256 -hmac salt).
    expect(hashed("salt", "bob@x.io")).toBe("[hash:6673266cea1cfc2a]");
    expect(hashed("salt", "bob@x.io")).not.toBe(hashed("salt", "eve@x.io"));
    expect(hashed("salt", "bob@x.io")).not.toBe(hashed("pepper", "bob@x.io"));
  });

  it("of the operator's own is a regular expression with flags", () => {
    const own = open([{ action: "mask", pattern: "/session=\\w+/i" }]);
    expect(scrub(own, "logs", log({ message: "Session=abc session=de;" })).message).toBe(
      "[masked] [masked];",
    );
  });
});

describe("a path", () => {
  const at = (path: string, record: Log, action = "mask", pattern?: string) =>
    scrub(open([{ signals: ["logs"], path, action, pattern }], "salt"), "logs", record);
  const nested = log({
    attributes: { user: { email: "e", name: "n" }, "user.email": "d", users: [{ email: "1" }] },
  });

  it.each([
    [
      "attributes.user.email",
      { user: { email: "[masked]", name: "n" }, "user.email": "[masked]", users: [{ email: "1" }] },
    ],
    [
      'attributes["user.email"]',
      { user: { email: "e", name: "n" }, "user.email": "[masked]", users: [{ email: "1" }] },
    ],
    [
      "attributes.user.*",
      { user: { email: "[masked]", name: "[masked]" }, "user.email": "[masked]", users: [{ email: "1" }] },
    ],
    [
      "attributes.users[0].email",
      { user: { email: "e", name: "n" }, "user.email": "d", users: [{ email: "[masked]" }] },
    ],
    [
      "**.email",
      { user: { email: "[masked]", name: "n" }, "user.email": "[masked]", users: [{ email: "[masked]" }] },
    ],
    ["attributes.user", { user: "[masked]", "user.email": "d", users: [{ email: "1" }] }],
    ["attributes", { user: "[masked]", "user.email": "[masked]", users: "[masked]" }],
    ["attributes.*", { user: "[masked]", "user.email": "[masked]", users: "[masked]" }],
    ["labels.user", nested.attributes],
  ])("%s", (path, attributes) => {
    expect(at(path, nested)).toEqual({ ...nested, attributes });
  });

  it("drops, and what must be there stays", () => {
    expect(at("attributes.user.email", nested, "drop").attributes).toEqual({
      user: { name: "n" },
      users: [{ email: "1" }],
    });
    expect(at("attributes", nested, "drop").attributes).toEqual({});
    expect(at("*", log({ host: "h", id: "i" }), "drop")).toEqual({
      timestamp: TIME,
      level: "[masked]",
      message: "",
      attributes: {},
    });
  });

  it("reaches values that are no text", () => {
    const card = log({ attributes: { card: 4111111111111111, other: 4111111111111112, is: true, no: null } });
    expect(at("attributes.*", card).attributes).toEqual({
      card: "[masked]",
      other: "[masked]",
      is: "[masked]",
      no: null,
    });
    expect(at("attributes.**", card, "mask", "credit_card").attributes).toEqual({
      ...card.attributes,
      card: "[masked]",
    });
    expect(at("attributes.card", card, "hash").attributes.card).toMatch(HASH);
  });

  it("with a pattern looks at every text below it, and at no other", () => {
    const record = log({ message: "bob@x.io", attributes: { a: { b: "bob@x.io" }, c: "bob@x.io" } });
    expect(at("attributes.a", record, "mask", "email")).toEqual({
      ...record,
      attributes: { a: { b: "[masked]" }, c: "bob@x.io" },
    });
  });

  it("means OTLP's names in the JSON forms, too", () => {
    expect(at("body", log()).message).toBe("[masked]");
    expect(at("resource.service.name", log({ service: "s", host: "h" }))).toMatchObject({
      service: "[masked]",
      host: "h",
    });
    const scrubber = open([{ path: "attributes.user", action: "mask" }]);
    expect(scrub(scrubber, "metrics", metric({ user: "u", a: "b" })).labels).toEqual({
      user: "[masked]",
      a: "b",
    });
  });
});

describe("limits", () => {
  it("hold for what is left, since a marker may be longer than what it stands for", () => {
    const scrubber = open([{ action: "hash", pattern: "ipv4" }], "salt");
    const value = "1.1.1.1 ".repeat(128).trim();
    const left = scrub(
      scrubber,
      "metrics",
      metric({ ["1.1.1.1 ".repeat(25).trim()]: value }, { name: value.slice(0, 199) }),
    );
    expect(left).toEqual(metric({ "[masked]": "[masked]" }, { name: "[masked]" }));
  });
});

describe("counts", () => {
  it("are values changed, by rule", () => {
    const scrubber = open([
      { action: "mask", pattern: "email" },
      { action: "mask", path: "attributes.secret" },
      { action: "mask", pattern: "ipv4" },
    ]);
    const counts = scrubber.newCounts();
    for (let i = 0; i < 3; i++) {
      scrubber.scrubRecord(
        "logs",
        log({ message: "bob@x.io eve@x.io", attributes: { secret: 1, other: "bob@x.io" } }),
        counts,
      );
    }
    expect(counts).toEqual([6, 3, 0]);
  });
});

describe("for any record and any rules", () => {
  const secrets = {
    email: "bob.roberts@mail.example.com",
    credit_card: "4111 1111 1111 1111",
    ipv4: "192.168.17.4",
    ipv6: "2001:db8::8a2e:370:7334",
    phone: "+49 151 12345678",
    jwt: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
  } as const;
  const recordsOf = (between: string): fc.Arbitrary<[NativeSignal, NativeRecord]> => {
    const text = fc
      .array(
        fc.oneof(
          fc.constantFrom(...Object.values(secrets)),
          fc.constantFrom(
            "[masked]",
            "[hash:0123456789abcdef]",
            "a",
            ".",
            "4",
            " ",
            "12",
            "[",
            "]",
            "@",
            "::",
          ),
          fc.string({ maxLength: 6, unit: "grapheme" }),
        ),
        { maxLength: 6 },
      )
      .map((parts) => parts.join(between));
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(
          text.filter((key) => key !== "__proto__"),
          tie("any"),
          { maxKeys: 3 },
        ),
      ),
    })).any as fc.Arbitrary<never>;
    const attributes = fc.dictionary(
      text.filter((key) => key !== "__proto__"),
      value,
      { maxKeys: 3 },
    );
    return fc.oneof(
      fc
        .record({ message: text, service: text, host: text, id: text.map((id) => `i${id}`), attributes })
        .map((fields): [NativeSignal, NativeRecord] => ["logs", log(fields)]),
      fc
        .dictionary(
          text.map((name) => `l${name}`),
          text,
          { maxKeys: 4 },
        )
        .map((labels): [NativeSignal, NativeRecord] => ["metrics", metric(labels)]),
      fc
        .record({ data: value, attributes })
        .map((fields): [NativeSignal, NativeRecord] => [
          "events",
          { timestamp: TIME, event_type: "t", ...fields },
        ]),
    );
  };
  const rule = fc
    .record(
      {
        action: fc.constantFrom("drop", "hash", "mask"),
        pattern: fc.constantFrom(...Object.keys(secrets)),
        path: fc.constantFrom("**", "attributes.**", "message", "labels.*", "data", "*", "**.a"),
      },
      { requiredKeys: ["action"] },
    )
    .filter(({ pattern, path }) => pattern !== undefined || path !== undefined);

  it("scrubbing twice is scrubbing once", () => {
    fc.assert(
      fc.property(
        fc.oneof(recordsOf(" "), recordsOf("")),
        fc.array(rule, { minLength: 1, maxLength: 4 }),
        ([signal, record], rules) => {
          const scrubber = open(rules, "salt");
          const once = scrub(scrubber, signal, record);
          expect(scrub(scrubber, signal, once)).toEqual(once);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("nothing of a secret is left, and the record is still one", () => {
    fc.assert(
      fc.property(
        // Apart, or an address that runs into another is none.
        recordsOf(" "),
        fc.constantFrom(...(Object.keys(secrets) as (keyof typeof secrets)[])),
        fc.constantFrom("drop", "hash", "mask"),
        ([signal, record], pattern, action) => {
          const left = scrub(open([{ action, pattern }], "salt"), signal, record);
          expect(JSON.stringify(left)).not.toContain(secrets[pattern]);
          const context = { receivedMs: Date.parse(TIME), enforceTimeRange: true };
          if (validateRecord(signal, record, context).ok) {
            expect(validateRecord(signal, left, context)).toMatchObject({ ok: true });
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
