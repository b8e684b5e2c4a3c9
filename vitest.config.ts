// Three projects: `node` runs everything that runs on Node, with real processes and real files; `workers` runs inside
// workerd (*.worker.test.ts) and reaches the real local-kafka, which lives here, through its outgoing fetch;
// `workers-tcp` runs there too, and may open sockets, to private addresses only: the transport `native` needs them.
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { startKafkaGateway } from "./test/support/kafka-gateway.ts";
import { createRealKafkaControl } from "./test/support/real-kafka-control.ts";

/** Counters are given away with the answer, so that no test waits for them; requests are not logged. */
const QUIET = { EDGE_FLUSH_MS: "0", LOG_REQUESTS: "off" };
const TCP_TESTS = "test/functions/native*.worker.test.ts";

export default defineConfig(async () => {
  const gateway = await startKafkaGateway();
  return {
    test: {
      reporters: ["default", "./test/support/transport-matrix.ts"],
      projects: [
        {
          test: {
            name: "node",
            include: ["test/**/*.test.ts"],
            exclude: ["test/**/*.worker.test.ts"],
            testTimeout: 120_000,
            hookTimeout: 120_000,
          },
        },
        {
          plugins: [
            cloudflareTest({
              main: "./functions/worker.ts",
              wrangler: { configPath: "./wrangler.toml" },
              miniflare: {
                bindings: {
                  ENVIRONMENT: "development",
                  ...QUIET,
                  KAFKA_REST_URL: "http://kafka.test",
                  TEST_MIGRATIONS: await readD1Migrations("./migrations"),
                },
                outboundService: (request: Request) => gateway.fetch(request),
              },
            }),
          ],
          test: {
            name: "workers",
            include: ["test/**/*.worker.test.ts"],
            exclude: [TCP_TESTS],
            setupFiles: ["./test/support/worker/apply-migrations.ts"],
            testTimeout: 120_000,
          },
        },
        {
          plugins: [
            cloudflareTest({
              main: "./functions/worker.ts",
              wrangler: { configPath: "./wrangler.toml" },
              miniflare: {
                bindings: { ENVIRONMENT: "development", ...QUIET },
                serviceBindings: { REAL_KAFKA: createRealKafkaControl() },
                outboundService: { network: { allow: ["private"], tlsOptions: { trustBrowserCas: true } } },
              },
            }),
          ],
          test: {
            name: "workers-tcp",
            include: [TCP_TESTS],
            testTimeout: 120_000,
            hookTimeout: 120_000,
          },
        },
      ],
    },
  };
});
