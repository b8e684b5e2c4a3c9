// Which of the clients stand on this machine. A suite whose client is missing is skipped with what to install, said once;
// where CI=true is set it throws instead.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type ClientName, installedClient } from "../../cli/install-clients.mjs";

/** Debian puts daemons where a user's path does not look. */
const SYSTEM_DIRS = ["/usr/sbin", "/usr/local/sbin"];

export type Tool = { available: true; path: string } | { available: false; why: string };

/** A client of cli/install-clients.mjs. */
export function fetched(name: ClientName): Tool {
  return toolAt(installedClient(name), `${name}: node cli/install-clients.mjs`);
}

/** A program of Debian's. */
export function packaged(program: string, packages: string): Tool {
  const dirs = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_DIRS];
  return toolAt(dirs.map((dir) => join(dir, program)).find(isExecutable), `${program} (Debian: ${packages})`);
}

/** Where the tool is; for use inside a suite that is skipped without it. */
export function pathOf(tool: Tool): string {
  if (!tool.available) throw new Error(tool.why);
  return tool.path;
}

function toolAt(path: string | undefined, what: string): Tool {
  if (path !== undefined) return { available: true, path };
  const why = `needs ${what}`;
  if (process.env.CI === "true") throw new Error(`the client suites may not be skipped in CI: ${why}`);
  process.stderr.write(`client suite skipped: ${why}\n`);
  return { available: false, why };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
