import type { D1Migration } from "cloudflare:test";

declare global {
  namespace Cloudflare {
    interface Env {
      TEST_MIGRATIONS: D1Migration[];
      /** test/support/real-kafka-control.ts; in the project workers-tcp only. */
      REAL_KAFKA: Fetcher;
    }
  }
}
