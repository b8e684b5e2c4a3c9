// `npm start`: builds what it runs, then is the supervisor of it all (cli/dev/supervisor.ts).
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";
import { build, BuildError } from "./build.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

try {
  await build(["worker", "local-kafka", "dev", "agent", "dashboard", "cli"]);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  process.stderr.write(`${error.message}\nNothing was started.\n`);
  process.exit(1);
}
// esbuild's own process would otherwise stay for as long as this one.
await esbuild.stop();
const { runSupervisor } = await import("../dist/supervisor.mjs");
await runSupervisor({ root });
