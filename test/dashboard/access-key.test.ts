import { describe, expect, it } from "vitest";
import { execFileSync } from "node:child_process";
import {
  chooseKey,
  developmentKey,
  displayKey,
  isLoopback,
  keyFromHash,
} from "../../dashboard/data/access-key.ts";
import { curlLine, exampleLog } from "../../dashboard/data/example-log.ts";

describe("the key", () => {
  it("comes from the address, then from the tab, then on loopback it is the public one", () => {
    const hash = "#key=weir_a_b";
    expect(chooseKey({ hash, stored: "weir_c_d", hostname: "weir.example" })).toBe("weir_a_b");
    expect(chooseKey({ hash: "", stored: "weir_c_d", hostname: "localhost" })).toBe("weir_c_d");
    expect(chooseKey({ hash: "", stored: null, hostname: "127.0.0.1" })).toBe(developmentKey);
    expect(chooseKey({ hash: "", stored: null, hostname: "weir.example" })).toBeUndefined();
  });

  it("is taken from the address only when it can be one", () => {
    expect(keyFromHash("#key=weir_a_b&x=1")).toBe("weir_a_b");
    for (const hash of ["", "#", "#logs", "#key=", "#key=a%20b", "#key=a%0Ab"])
      expect(keyFromHash(hash)).toBeUndefined();
  });

  it("is hidden on the screen, save the public one", () => {
    expect(displayKey("weir_abc_topsecret")).toBe("weir_abc_••••••••");
    expect(displayKey("topsecret")).toBe("••••••••");
    expect(displayKey(developmentKey)).toBe(developmentKey);
  });

  it("is offered without asking on this machine only", () => {
    expect(["localhost", "127.0.0.1", "127.1.2.3", "[::1]"].every(isLoopback)).toBe(true);
    expect(["weir.example", "localhost.example", "10.0.0.1"].some(isLoopback)).toBe(false);
  });
});

it("gives a curl line that a shell reads as it was meant, whatever the key holds", () => {
  const line = curlLine("http://127.0.0.1:8787", "it's$(no)`shell`\\key").replace(/^curl/, "printf '%s\\n'");
  const words = execFileSync("sh", ["-c", line], { encoding: "utf8" }).trimEnd().split("\n");
  expect(words).toEqual([
    "http://127.0.0.1:8787/api/v1/logs",
    "-H",
    "Authorization: Bearer it's$(no)`shell`\\key",
    "-H",
    "Content-Type: application/json",
    "-d",
    JSON.stringify(exampleLog),
  ]);
});
