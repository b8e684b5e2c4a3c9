import { env } from "cloudflare:test";
import {
  d1AlertSamples,
  pruneD1AlertSamples,
  sampleStatements,
} from "../../../lib/storage/d1-alert-samples.ts";
import type { D1 } from "../../../lib/storage/d1-database.ts";
import { alertSamplesSuite } from "../../contract/alert-samples.suite.ts";

alertSamplesSuite(
  "D1",
  () => {
    const db: D1 = env.DB;
    return {
      async apply(alertSamples, committedAtMs) {
        await db.batch(sampleStatements(db, { alertSamples, committedAtMs }));
      },
      of: (tenant, rules, limit) => d1AlertSamples(db, tenant, rules, limit),
      prune: (beforeMs, limit) => pruneD1AlertSamples(db, beforeMs, limit),
    };
  },
  30,
);
