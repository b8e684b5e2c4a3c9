// Bundles what runs: `node cli/build.mjs [target …]`, all targets without an argument. Output goes to dist/.
// A file is replaced whole (rename), and only when its bytes changed, so building beside a running Weir is safe.
// Refuses an unknown target, and a target whose source is not there, with one line each.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { builtinModules } from "node:module";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import esbuild from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dashboardDir = "dist/dashboard";
/** What the dashboard's folder may hold that is served (or, for the underscored two, obeyed) as it is. */
const staticAsset = /\.(html|svg|png|ico|webmanifest|woff2|txt)$|^_headers$|^_redirects$/;

/** The API's documentation as it is served, by its place in the dashboard's folder: Swagger UI and its licences. */
const swaggerUi = "node_modules/swagger-ui-dist";
const docsFiles = new Map([
  ["docs/index.html", "dashboard/docs/index.html"],
  ["docs/swagger-ui-bundle.js", `${swaggerUi}/swagger-ui-bundle.js`],
  ["docs/swagger-ui-bundle.js.LICENSE.txt", `${swaggerUi}/swagger-ui-bundle.js.LICENSE.txt`],
  ["docs/swagger-ui.LICENSE.txt", `${swaggerUi}/LICENSE`],
  ["docs/swagger-ui.NOTICE.txt", `${swaggerUi}/NOTICE`],
]);

/** Packages written for CommonJS say `fs`; workerd and our rules know `node:fs` only. */
const prefixBuiltins = {
  name: "prefix-builtins",
  setup(build) {
    const names = builtinModules.filter((name) => !name.startsWith("_")).join("|");
    build.onResolve({ filter: new RegExp(`^(node:)?(${names})$`) }, ({ path }) => ({
      path: path.startsWith("node:") ? path : `node:${path}`,
      external: true,
    }));
  },
};

const shared = {
  bundle: true,
  write: false,
  format: "esm",
  logLevel: "silent",
  absWorkingDir: root,
  outdir: "dist",
};

function forNode(entryPoints) {
  return {
    ...shared,
    entryPoints,
    platform: "node",
    target: "node20",
    outExtension: { ".js": ".mjs" },
    sourcemap: "linked",
    external: ["miniflare", "wrangler", "esbuild"],
    // CommonJS packages inside an ES module bundle call require(), which is not there.
    banner: {
      js: `import { createRequire as weirCreateRequire } from "node:module"; const require = weirCreateRequire(import.meta.url);`,
    },
  };
}

function forWorkerd(entryPoints) {
  return {
    ...shared,
    entryPoints,
    platform: "neutral",
    target: "es2023",
    mainFields: ["workerd", "worker", "browser", "module", "main"],
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    plugins: [prefixBuiltins],
    // As wrangler.toml's [alias] and [define]: what the Kafka library asks for at its start, and workerd has not.
    alias: { "ajv/dist/2020.js": "./lib/kafka/native/ajv-stand-in.ts" },
    define: { "import.meta.url": '"file:///worker.js"' },
    loader: { ".wasm": "copy", ".sql": "text", ".txt": "text", ".html": "text" },
    sourcemap: "linked",
  };
}

const chaosDir = "test/chaos/worker";

/** Files of functions/ in whose place the chaos suite has its own. */
const replaced = new Set(["acceptance.ts", "spill.ts", "storage.ts", "transport.ts"]);

const standIns = {
  name: "stand-ins",
  setup(build) {
    build.onResolve({ filter: /^\.{1,2}\// }, ({ path, importer, resolveDir }) => {
      const wanted = relative(join(root, "functions"), join(resolveDir, path));
      if (!replaced.has(wanted) || relative(root, importer).startsWith(chaosDir)) return undefined;
      return { path: join(root, chaosDir, wanted) };
    });
  },
};

const targets = {
  worker: {
    sources: ["functions/worker.ts"],
    options: forWorkerd({ "worker/index": "functions/worker.ts" }),
  },
  "chaos-worker": {
    sources: [`${chaosDir}/index.ts`],
    options: {
      ...forWorkerd({ "chaos-worker/index": `${chaosDir}/index.ts` }),
      plugins: [prefixBuiltins, standIns],
    },
  },
  "local-kafka": {
    sources: ["local-kafka/main.ts"],
    options: forNode({ "local-kafka": "local-kafka/main.ts" }),
  },
  dev: {
    sources: ["cli/dev/supervisor.ts", "cli/dev/worker-host.ts", "cli/dev/follow-parent.ts"],
    options: forNode({
      supervisor: "cli/dev/supervisor.ts",
      "worker-host": "cli/dev/worker-host.ts",
      "follow-parent": "cli/dev/follow-parent.ts",
    }),
  },
  agent: {
    sources: ["agents/metrics/main.ts"],
    options: forNode({ "metrics-agent": "agents/metrics/main.ts" }),
  },
  dashboard: {
    sources: ["dashboard/index.html", "dashboard/app.ts", "dashboard/docs/docs.ts", ...docsFiles.values()],
    options: {
      ...shared,
      // The style sheets that app.ts imports, uPlot's among them, come out as app.css.
      entryPoints: { app: "dashboard/app.ts", "docs/docs": "dashboard/docs/docs.ts" },
      outdir: dashboardDir,
      platform: "browser",
      target: ["es2022"],
      minify: true,
    },
    finish(written) {
      const copies = new Map(docsFiles);
      for (const file of readdirSync(join(root, "dashboard")))
        if (staticAsset.test(file)) copies.set(file, `dashboard/${file}`);
      for (const [to, from] of copies) {
        replace(join(root, dashboardDir, to), readFileSync(join(root, from)));
        written.add(join(root, dashboardDir, to));
      }
      // The whole folder is deployed: a file of an earlier build must not go with it.
      for (const entry of readdirSync(join(root, dashboardDir), { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        const isKept = [...written].some((kept) => kept === path || kept.startsWith(path + sep));
        if (!isKept) rmSync(path, { recursive: true, force: true });
      }
    },
  },
  cli: { sources: ["cli/weir.ts"], options: forNode({ weir: "cli/weir.ts" }) },
  key: { sources: ["cli/create-key.ts"], options: forNode({ "create-key": "cli/create-key.ts" }) },
  bench: {
    sources: ["bench/main.ts", "bench/consume.ts", "bench/latency.ts"],
    options: forNode({
      bench: "bench/main.ts",
      "bench-consume": "bench/consume.ts",
      "bench-latency": "bench/latency.ts",
    }),
  },
  chaos: {
    sources: ["test/chaos/main.ts"],
    options: {
      // In a folder of its own: test/support finds the project's root two folders above itself, too.
      ...forNode({ main: "test/chaos/main.ts" }),
      outdir: "dist/chaos",
      external: [...forNode({}).external, "./cli/*.mjs"],
    },
  },
  fuzz: { sources: ["test/fuzz/main.ts"], options: forNode({ fuzz: "test/fuzz/main.ts" }) },
};

/** What a build refuses; `message` is one or more lines for the terminal. */
export class BuildError extends Error {
  name = "BuildError";
}

function replace(path, bytes) {
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  mkdirSync(dirname(path), { recursive: true });
  // Not beside the file: another build may be sweeping dist/dashboard.
  const temporary = join(root, "dist", `.${basename(path)}.${process.pid}.tmp`);
  writeFileSync(temporary, bytes);
  renameSync(temporary, path);
}

async function buildTarget(name) {
  const { sources, options, finish } = targets[name];
  const missing = sources.filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) throw new BuildError(`build ${name}: ${missing.join(", ")} is not there.`);
  let result;
  try {
    result = await esbuild.build(options);
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    const lines = await esbuild.formatMessages(error.errors, {
      kind: "error",
      color: process.stderr.isTTY ?? false,
    });
    throw new BuildError(`build ${name}: ${error.errors.length} error(s).\n${lines.join("\n").trimEnd()}`);
  }
  const written = new Set(result.outputFiles.map((file) => file.path));
  for (const file of result.outputFiles) replace(file.path, Buffer.from(file.contents));
  finish?.(written);
}

/**
 * Builds the named targets side by side.
 *
 * @param {string[]} [names] of those in `targets`; all when empty
 * @throws {BuildError} with every failed target's reason
 */
export async function build(names = []) {
  const unknown = names.filter((name) => !Object.hasOwn(targets, name));
  if (unknown.length > 0) {
    throw new BuildError(
      `build: no target ${unknown.join(", ")}; there are ${Object.keys(targets).join(", ")}.`,
    );
  }
  const wanted = names.length > 0 ? names : Object.keys(targets);
  const failures = (await Promise.allSettled(wanted.map(buildTarget))).flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason] : [],
  );
  const surprise = failures.find((reason) => !(reason instanceof BuildError));
  if (surprise) throw surprise;
  if (failures.length > 0) throw new BuildError(failures.map((reason) => reason.message).join("\n"));
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const startedMs = performance.now();
  try {
    await build(process.argv.slice(2));
    const names = process.argv.slice(2).join(", ") || "everything";
    process.stderr.write(
      `built ${names} into ${relative(process.cwd(), join(root, "dist"))} in ${Math.round(performance.now() - startedMs)} ms\n`,
    );
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
