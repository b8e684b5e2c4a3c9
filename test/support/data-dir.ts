// Folders of a test's own, gone when it is over.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function makeDataDir(name: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `weir-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
