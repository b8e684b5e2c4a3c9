import { describe, expect, it } from "vitest";
import type { Expression } from "../../../lib/alerts/expression.ts";
import { parseExpression } from "../../../lib/alerts/parse-expression.ts";

const raw = (name: string, matchers: [string, boolean, string][] = []) => ({
  kind: "raw" as const,
  selector: { name, matchers: matchers.map(([name, isEqual, value]) => ({ name, isEqual, value })) },
});
const above = (threshold: number) => ({ comparison: ">" as const, threshold });
const MINUTE = 60_000;

const good: [string, Partial<Expression>][] = [
  ["cpu_usage_percent > 80", { subject: raw("cpu_usage_percent"), condition: above(80) }],
  ["  cpu>-8.5e1 ", { subject: raw("cpu"), condition: above(-85) }],
  ["http.server/duration:ms >= 1", { condition: { comparison: ">=", threshold: 1 } }],
  ['"a name, with {signs}" != 0', { subject: raw("a name, with {signs}") }],
  [
    'cpu_usage_percent{host="a",env!="dev"} > 80',
    {
      subject: raw("cpu_usage_percent", [
        ["host", true, "a"],
        ["env", false, "dev"],
      ]),
    },
  ],
  ['cpu{host="say \\"hi\\" \\\\ }"} > 1', { subject: raw("cpu", [["host", true, 'say "hi" \\ }']]) }],
  ["cpu{} > 1", { subject: raw("cpu") }],
  [
    "p95(latency, 5m) > 300 for 10m",
    {
      subject: {
        kind: "window",
        aggregate: "p95",
        selector: { name: "latency", matchers: [] },
        rangeMs: 5 * MINUTE,
      },
      condition: above(300),
      forMs: 10 * MINUTE,
    },
  ],
  ["rate(requests, 1h30m) by (service, host) > 1", { by: ["service", "host"], condition: above(1) }],
  ["rate(requests, 5m) > 1 by (service) for 90s", { by: ["service"], forMs: 90_000 }],
  ["sum(requests, 5m) by () > 1", { by: [] }],
  ["count > 5", { subject: raw("count") }],
  [
    "absent(heartbeat, 10m) by (host)",
    {
      subject: { kind: "absent", selector: { name: "heartbeat", matchers: [] }, rangeMs: 10 * MINUTE },
      by: ["host"],
      condition: undefined,
    },
  ],
  [
    "lag(weir-storage) > 10000",
    { subject: { kind: "lag", group: "weir-storage" }, condition: above(10_000) },
  ],
  ["lag() > 1", { subject: { kind: "lag", group: undefined } }],
  ["dead_letters(5m) > 0", { subject: { kind: "dead_letters", rangeMs: 5 * MINUTE }, condition: above(0) }],
  ["produce_p99() > 100ms", { subject: { kind: "produce_p99" }, condition: above(100) }],
  ["spill_age() > 5m", { subject: { kind: "spill_age" }, condition: above(5 * MINUTE) }],
  ...["avg", "min", "max", "sum", "count", "last", "rate", "increase", "p50", "p90", "p99"].map(
    (name): [string, Partial<Expression>] => [
      `${name}(x, 1m) == 0`,
      { condition: { comparison: "==", threshold: 0 } },
    ],
  ),
];

/** Expression, the column, and a part of what is said. */
const bad: [string, number, RegExp][] = [
  ["", 1, /expected a metric's name/],
  ["> 80", 1, /expected a metric's name or a function, not `>`/],
  ["cpu", 4, /expected one of > >= < <= == != where the expression ends, as in/],
  ["cpu > ", 7, /expected a number where/],
  ["cpu > high", 7, /expected a number, not `high`/],
  ["cpu > 80%", 9, /no arithmetic/],
  ["cpu + 1 > 80", 5, /no arithmetic/],
  ["cpu = 80", 5, /compared with ==/],
  ["cpu > 80ms", 7, /without a unit/],
  ["cpu > 80 80", 10, /one word too many/],
  ["cpu > 80 for", 13, /expected a span of time/],
  ["cpu > 80 for 10", 14, /expected a span of time, not `10`/],
  ["cpu > 80 for 10q", 14, /no span of time; write it as in 30s/],
  ["cpu > 80 for 8d", 14, /at most 7d/],
  ["cpu > 1e999", 7, /beyond the range/],
  ["p75(latency, 5m) > 1", 1, /no function p75; there are avg,/],
  ["p95(latency) > 1", 12, /expected `,`, not `\)`; as in `p95\(latency, 5m\)`/],
  ["p95(, 5m) > 1", 5, /expected a metric's name, not `,`/],
  ["p95(latency, 300) > 1", 14, /expected a span of time, not `300`/],
  ["p95(latency, 30s) > 1", 14, /between 1m and 7d/],
  ["p95(latency, 90s) > 1", 14, /whole minutes/],
  ["p95(latency, 8d) > 1", 14, /between 1m and 7d, not 8d/],
  ["p95(latency, 5m > 1", 17, /expected `\)`, not `>`/],
  ["absent(heartbeat, 10m) > 1", 24, /not compared with anything/],
  ["absent(heartbeat, 2d)", 19, /between 1m and 1d/],
  ["cpu{host} > 1", 9, /expected = or !=, not `}`/],
  ["cpu{host=web} > 1", 10, /text in double quotes/],
  ["cpu{host='web'} > 1", 10, /double quotes/],
  ['cpu{host="web} > 1', 10, /no end/],
  ['cpu{host=~"web.*"} > 1', 10, /patterns are not supported/],
  ['cpu{host="a" env="b"} > 1', 14, /expected `,`/],
  ['cpu{host="a"', 13, /expected `,` where the expression ends/],
  ['"" > 1', 1, /not empty/],
  ["cpu by host > 1", 8, /expected `\(`, not `host`; as in by \(host, env\)/],
  ["cpu by (host env) > 1", 14, /expected `,`/],
  ["lag() by (host) > 1", 7, /goes with metrics only/],
  ["lag(1) > 1", 5, /expected a group's name/],
  ["produce_p99(x) > 100ms", 13, /takes nothing/],
  ["produce_p99() > 100", 17, /compared with a span of time/],
  ["größe > 1", 3, /goes into double quotes/],
  ["cpu > 1\u{1F600}", 8, /cannot stand here/],
];

describe("an expression", () => {
  it.each(good)("%s is read", (text, wanted) => {
    const parsed = parseExpression(text);
    expect(parsed).toMatchObject({ ok: true, value: wanted });
  });

  it.each(bad)("%s: column %i", (text, column, message) => {
    const parsed = parseExpression(text);
    if (parsed.ok) throw new Error("it was read");
    expect(parsed.error).toMatchObject({ column, message: expect.stringMatching(message) as string });
  });

  it("has a bound, and every text is read or refused in no time", () => {
    expect(parseExpression(`${"a".repeat(1_000)} > 1`)).toMatchObject({
      ok: false,
      error: { column: 1_001 },
    });
    for (const text of [
      "(".repeat(1_000),
      "1".repeat(1_000),
      "1m".repeat(500),
      '"'.repeat(999),
      "a{".repeat(500),
    ])
      expect(parseExpression(text).ok).toBe(false);
  });
});
