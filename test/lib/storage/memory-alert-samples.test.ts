import { MemoryAlertSamples } from "../../../lib/storage/memory-alert-samples.ts";
import { alertSamplesSuite } from "../../contract/alert-samples.suite.ts";

alertSamplesSuite(
  "memory",
  () => {
    const samples = new MemoryAlertSamples();
    return {
      apply: async (alertSamples, committedAtMs) => samples.apply({ alertSamples, committedAtMs }),
      of: async (tenant, rules, limit) => samples.of(tenant, rules, limit),
      prune: async (beforeMs, limit) => samples.prune(beforeMs, limit),
    };
  },
  300,
);
