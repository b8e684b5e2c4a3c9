// Two projects: `node` runs everything that runs on Node, with real processes and real files; `workers` runs inside
// workerd (*.worker.test.ts) and reaches the real local-kafka, which lives here, through its outgoing fetch.
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { startKafkaGateway } from "./test/support/kafka-gateway.ts";

export default defineConfig(async () => {
  const gateway = await startKafkaGateway();
  return {
    test: {
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
            setupFiles: ["./test/support/worker/apply-migrations.ts"],
            testTimeout: 120_000,
          },
        },
      ],
    },
  };
});
