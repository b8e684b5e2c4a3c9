import { describe, expect, it } from "vitest";
import { parseOptions } from "../../../agents/metrics/options.ts";
import { createLog } from "../../../agents/metrics/log.ts";

const defaults = { host: "web-1" };
const faultsOf = (
  flags: Record<string, unknown>,
  env: Record<string, string> = { WEIR_KEY: "k" },
): string[] => {
  const parsed = parseOptions(flags, env, defaults);
  return parsed.ok ? [] : parsed.faults;
};

describe("options", () => {
  it("come from the environment, and a flag wins", () => {
    const env = { WEIR_URL: "https://weir.example/base", WEIR_KEY: "weir_a_b" };
    const parsed = parseOptions({ _: [], interval: "30", url: "http://127.0.0.1:9" }, env, defaults);
    expect(parsed).toEqual({
      ok: true,
      options: {
        url: new URL("http://127.0.0.1:9"),
        key: "weir_a_b",
        intervalMs: 30_000,
        service: "host",
        host: "web-1",
        once: false,
      },
    });
  });

  it("are refused all at once, without quoting a secret", () => {
    const faults = faultsOf({
      bogus: true,
      interval: "0",
      url: "http://me:hunter2@x",
      key: "se cret",
      host: "h".repeat(1025),
    });
    expect(faults).toHaveLength(5);
    expect(faults.join()).not.toMatch(/hunter2|se cret/);
  });

  it.each([
    [{ interval: "soon" }, /--interval/],
    [{ interval: "Infinity" }, /--interval/],
    [{ url: "ftp://x" }, /http or https/],
    [{ url: "nowhere" }, /http or https/],
    [{ key: "--once" }, /--key lacks its value/],
    [{ _: ["once"] }, /options only/],
  ])("refuses %j", (flags, fault) => {
    expect(faultsOf(flags)).toEqual([expect.stringMatching(fault)]);
  });

  it("say where the key goes when there is none", () => {
    expect(faultsOf({}, {})).toEqual([expect.stringMatching(/set WEIR_KEY/)]);
  });
});

describe("a line of the log", () => {
  it("holds neither the key nor a terminal's control characters", () => {
    let output = "";
    createLog("weir_a_b", (text) => (output += text)).say("bad key weir_a_b\u001b[31m\nforged line\u009b");
    expect(output).toBe("weir-metrics-agent: bad key [key] [31m forged line \n");
  });
});
