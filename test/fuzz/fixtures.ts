// The fixtures that bodies are made of, from their files.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decompressSnappy } from "../../lib/telemetry/remote-write/snappy.ts";
import type { Fixtures } from "./bodies/seeds.ts";

/** The times in them, at which they are received. */
const GOLDEN_MS = 1_763_719_200_123;
const WRITES_MS = Date.parse("2026-11-20T10:00:00.000Z");

/** @param root of the repository */
export function readFixtures(root: string): Fixtures {
  const file = (name: string) => readFileSync(join(root, "test", "fixtures", name));
  const unpacked = (version: "v1" | "v2"): Uint8Array => {
    const bytes = decompressSnappy(new Uint8Array(file(`remote-write/${version}.snappy`)));
    if (!bytes.ok) throw new Error(`the fixture ${version}: ${bytes.error.message}`);
    return bytes.value;
  };
  return {
    otlpJson: (
      [
        ["logs", "logs"],
        ["events", "logs"],
        ["metrics", "metrics"],
        ["trace", "traces"],
      ] as const
    ).map(([name, signal]) => ({ signal, text: file(`otlp/${name}.json`).toString() })),
    otlp: (["logs", "metrics", "traces"] as const).map((signal) => ({
      signal,
      bytes: new Uint8Array(file(`otlp/${signal}.bin`)),
      nowMs: GOLDEN_MS,
    })),
    writes: (["v1", "v2"] as const).map((version) => ({
      version,
      bytes: unpacked(version),
      nowMs: WRITES_MS,
    })),
  };
}
