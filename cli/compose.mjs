// `npm run kafka:up`, `kafka:down`, `kafka:logs`: a real Redpanda by Docker Compose, in local-kafka's place. `up` ends
// once it is healthy and has the topics; the data outlives `down`. Without a Docker that runs: one line, exit code 1.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const file = join(dirname(dirname(fileURLToPath(import.meta.url))), "local-kafka", "docker-compose.yml");

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Whether it ended well; its own words are left out when we have better ones. */
function docker(args, { quiet = false } = {}) {
  const { error, status, signal } = spawnSync("docker", args, { stdio: quiet ? "ignore" : "inherit" });
  if (error?.code === "ENOENT") {
    fail(
      "Docker is not installed, or not on the PATH: see https://docs.docker.com/get-docker/. `npm start` needs none.",
    );
  }
  if (error) fail(`docker cannot be run: ${error.message}`);
  // Ctrl-C of `logs` is how it ends.
  return status === 0 || signal === "SIGINT" || status === 130;
}

const compose = (...args) => docker(["compose", "--file", file, ...args]);

const actions = {
  up() {
    // `--wait` takes a container that has ended for a failure, so the topics are made by a call of their own.
    if (!compose("up", "--detach", "--wait", "redpanda", "console")) fail("Redpanda did not become healthy.");
    if (!compose("run", "--rm", "-T", "topics")) fail("The topics could not be made; Redpanda is running.");
    process.stdout.write(
      [
        "",
        "  Redpanda is ready, with the topics",
        "",
        "  HTTP proxy  http://127.0.0.1:18082",
        "  Kafka       127.0.0.1:19092",
        "  console     http://127.0.0.1:8080",
        "",
        "  Weir on it:  KAFKA_REST_URL=http://127.0.0.1:18082 npm start",
        "  It is stopped by npm run kafka:down; its data stays.",
        "",
        "",
      ].join("\n"),
    );
  },
  down() {
    if (!compose("down", "--remove-orphans")) process.exit(1);
  },
  logs() {
    if (!compose("logs", "--follow", "--tail", "100", ...process.argv.slice(3))) process.exit(1);
  },
};

const [, , name] = process.argv;
if (!Object.hasOwn(actions, name ?? "")) fail(`compose: one of ${Object.keys(actions).join(", ")}`);
if (!docker(["compose", "version"], { quiet: true })) {
  fail("Docker has no `compose` here: see https://docs.docker.com/compose/install/.");
}
if (!docker(["info"], { quiet: true }))
  fail("Docker is installed but not running: start it, then try again.");
actions[name]();
