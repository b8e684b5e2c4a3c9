// Fetches the telemetry clients that test/clients runs unmodified into .cache/clients, through the languages' own package
// tools: `node cli/install-clients.mjs`. What is there already is not touched; each stands in a folder named by what was
// asked for, built aside and renamed whole. A client that fails is one line, and the others go on. Node built-ins only.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cacheDir = join(root, ".cache", "clients");
const sources = join(root, "test", "clients");
const otelJs = {
  manifest: join(sources, "otel-js", "package.json"),
  lock: join(sources, "otel-js", "package-lock.json"),
};
const requirements = join(sources, "python", "requirements.txt");
const TELEMETRYGEN = "0.155.0";
const TELEMETRYGEN_MODULE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen";

/** `path` is what a test starts or loads, inside the client's folder. */
const CLIENTS = {
  "otel-js": {
    version: digestOf(otelJs.manifest, otelJs.lock),
    path: "package.json",
    async build(dir) {
      copyFileSync(otelJs.manifest, join(dir, "package.json"));
      copyFileSync(otelJs.lock, join(dir, "package-lock.json"));
      const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
      await run("npm", ["ci", ...flags], { cwd: dir });
    },
  },
  // Schemathesis too: it is a Python program, and one environment is quicker to make than two.
  python: {
    version: digestOf(requirements),
    path: join("bin", "python"),
    async build(dir) {
      await run("python3", ["-m", "venv", dir]);
      const flags = ["--quiet", "--disable-pip-version-check", "--no-deps"];
      await run(join(dir, "bin", "python"), ["-m", "pip", "install", ...flags, "-r", requirements]);
    },
  },
  telemetrygen: {
    version: TELEMETRYGEN,
    path: "telemetrygen",
    async build(dir) {
      const flags = ["-p", "2", "-trimpath", "-ldflags", "-s -w"];
      await run("go", ["install", ...flags, `${TELEMETRYGEN_MODULE}@v${TELEMETRYGEN}`], {
        env: { ...process.env, GOBIN: dir },
      });
    },
  },
};

/** @returns what a test starts or loads, or undefined while it is not installed */
export function installedClient(name) {
  const path = pathOf(name);
  return existsSync(path) ? path : undefined;
}

/** Resolves to what a test starts or loads. */
async function installClient(name) {
  const path = pathOf(name);
  if (existsSync(path)) return path;
  mkdirSync(cacheDir, { recursive: true });
  const building = await mkdtemp(`${folderOf(name)}.building-`);
  try {
    await CLIENTS[name].build(building);
    await rename(building, folderOf(name));
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    // Another process was first.
    if (!existsSync(path)) throw error;
  }
  return path;
}

function folderOf(name) {
  return join(cacheDir, `${name}-${CLIENTS[name].version}`);
}

function pathOf(name) {
  return join(folderOf(name), CLIENTS[name].path);
}

function digestOf(...files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 12);
}

async function run(command, args, options = {}) {
  let output = "";
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const code = await new Promise((resolve, reject) => {
    const notStarted = ({ message }) => reject(new Error(`${command} does not start: ${message}`));
    child.on("error", notStarted).on("close", resolve);
  });
  if (code === 0) return;
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const reason = lines.find((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? `status ${code}`;
  throw new Error(`${command}: ${reason.trim()}`);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  for (const name of Object.keys(CLIENTS)) {
    try {
      process.stdout.write(`${name} in ${dirname(await installClient(name))}\n`);
    } catch (error) {
      process.stderr.write(`install-clients: ${name}: ${error.message}\n`);
      process.exitCode = 1;
    }
  }
}
