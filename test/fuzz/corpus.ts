// The corpus: bodies that once went wrong, each a file, run again by every test run. Bodies are kept under gzip, since
// the costly ones are long and repeat themselves.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { z } from "zod";
import { DECODERS, type FuzzCase } from "./bodies/fuzz-case.ts";

const shape = z.strictObject({
  /** What it made go wrong. */
  found: z.string(),
  decoder: z.enum(DECODERS),
  headers: z.record(z.string(), z.string()),
  nowMs: z.int(),
  gzip: z.base64(),
});

const folderOf = (root: string): string => join(root, "test", "fixtures", "fuzz");

export function readCorpus(root: string): { file: string; found: string; given: FuzzCase }[] {
  const files = readdirSync(folderOf(root)).filter((file) => file.endsWith(".json"));
  return files.toSorted().map((file) => {
    const kept = shape.parse(JSON.parse(readFileSync(join(folderOf(root), file), "utf8")));
    const { found, decoder, headers, nowMs, gzip } = kept;
    const body = new Uint8Array(gunzipSync(Buffer.from(gzip, "base64")));
    return { file, found, given: { decoder, headers, nowMs, body } };
  });
}

/** @returns the file's name */
export function keepCase(root: string, { decoder, headers, nowMs, body }: FuzzCase, found: string): string {
  const gzip = gzipSync(body, { level: 9 }).toString("base64");
  const kept: z.input<typeof shape> = { found, decoder, headers, nowMs, gzip };
  const hash = createHash("sha256").update(JSON.stringify(headers)).update(body).digest("hex").slice(0, 8);
  const file = `${decoder.replaceAll(/[^a-z0-9]+/g, "-").replace(/^-/, "")}-${hash}.json`;
  mkdirSync(folderOf(root), { recursive: true });
  writeFileSync(join(folderOf(root), file), `${JSON.stringify(kept, undefined, 2)}\n`);
  return file;
}
