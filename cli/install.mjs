// Runs `npm ci` when node_modules is missing or does not match package-lock.json, so that `npm start` and
// `npm test` work on a fresh clone. Node built-ins only: it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`weir needs Node 20.19 or newer; this is ${process.version}.\n`);
  process.exit(1);
}

/** Packages of a lock file that belong to this machine: name → version, without the root and other platforms' binaries. */
function packagesOf(file) {
  try {
    const { packages } = JSON.parse(readFileSync(file, "utf8"));
    return new Map(
      Object.entries(packages)
        .filter(([name]) => name !== "")
        .map(([name, { version, optional = false }]) => [name, { version, optional }]),
    );
  } catch {
    return undefined;
  }
}

/** True when what is installed is what the lock asks for; optional packages may be absent, never different. */
function isInstalled() {
  const wanted = packagesOf(join(root, "package-lock.json"));
  const present = packagesOf(join(root, "node_modules", ".package-lock.json"));
  if (!wanted || !present) return false;
  for (const [name, { version, optional }] of wanted) {
    const found = present.get(name);
    if (found ? found.version !== version : !optional) return false;
  }
  return true;
}

if (!isInstalled()) {
  process.stderr.write("Installing what package-lock.json names (npm ci) …\n");
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm]] : ["npm", []];
  const { status } = spawnSync(command, [...args, "ci", "--no-fund", "--no-audit"], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) {
    process.stderr.write("`npm ci` failed; the lines above say why. Mend that and run the command again.\n");
    process.exit(1);
  }
}
