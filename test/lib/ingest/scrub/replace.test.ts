// What stands for a text that was taken out, and that a second look at it changes nothing.
import { describe, expect, it } from "vitest";
import { Replacer } from "../../../../lib/ingest/scrub/replace.ts";
import { parseScrubRules } from "../../../../lib/ingest/scrub/rules.ts";

function scrub(text: string, ...rules: [action: string, pattern?: string][]): string | undefined {
  const json = JSON.stringify(
    rules.map(([action, pattern]) => (pattern === undefined ? { action, path: "a" } : { action, pattern })),
  );
  const parsed = parseScrubRules(json);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return new Replacer("salt").scrub(text, parsed.value, []);
}

describe("a marker", () => {
  it("is left alone by what would match inside it", () => {
    expect(scrub("a [masked] [hash:4111111111111111]", ["mask", "/[a-z]+k/"])).toBe(
      "a [masked] [hash:4111111111111111]",
    );
    expect(scrub("[hash:4111111111111111]", ["mask", "credit_card"])).toBe("[hash:4111111111111111]");
    expect(scrub("[hash:4111111111111111]", ["drop", "credit_card"])).toBe("[hash:4111111111111111]");
  });

  it("goes whole with a match that reaches beyond it", () => {
    expect(scrub("user=[masked] secret; x", ["mask", "/user=.*;/"])).toBe("[masked] x");
    expect(scrub("[masked]z", ["mask", "/sked\\]z/"])).toBe("[masked]");
    expect(scrub("x[masked]", ["mask", "/x\\[m/"])).toBe("[masked]");
  });

  it("that is the whole value is neither hashed nor dropped again", () => {
    const once = scrub("secret", ["hash"]);
    expect(once).toMatch(/^\[hash:[0-9a-f]{16}\]$/);
    expect(scrub(once ?? "", ["hash"])).toBe(once);
    expect(scrub("[masked]", ["drop"])).toBe("[masked]");
  });
});

describe("rules in their order", () => {
  it("do not hide from an earlier one what a later one uncovers", () => {
    expect(scrub("bob@x.io192.168.0.1", ["mask", "email"], ["mask", "ipv4"])).toBe("[masked][masked]");
    const after = scrub("bob@x.io415-555-0123eyJhbGciOiJI.eyJz.d", ["mask", "email"], ["mask", "jwt"]);
    expect(after).toBe("[masked][masked]");
  });

  it("end with the one that drops", () => {
    expect(scrub("bob@x.io", ["mask", "email"], ["drop", "email"])).toBe("[masked]");
    expect(scrub("bob@x.io 8.8.8.8", ["mask", "email"], ["drop", "ipv4"])).toBeUndefined();
  });

  it("apply an operator's own expression once, as it says", () => {
    expect(scrub("123456", ["mask", "/\\d(?!\\d)/"])).toBe("12345[masked]");
  });
});
