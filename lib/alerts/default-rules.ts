// The rules of the deployment that are there without anybody's doing. An operator deletes them as any other, or makes
// others beside them.
import { DEPLOYMENT, ruleOf, type AlertRule } from "./rule.ts";

const DEFAULTS = [
  {
    id: "default-lag",
    name: "Consumer lag",
    expr: "lag() > 10000 for 1m",
    severity: "warning",
    annotations: { summary: "{{labels.group}} is {{value}} messages behind" },
  },
  {
    id: "default-produce-p99",
    name: "Kafka is slow",
    expr: "produce_p99() > 100ms for 1m",
    severity: "warning",
    annotations: { summary: "99 of 100 writes to Kafka take up to {{value}} ms, the others longer" },
  },
  {
    id: "default-dead-letters",
    name: "Dead letters",
    expr: "dead_letters(5m) > 0",
    severity: "warning",
    annotations: {
      summary: "{{value}} records of the last 5 minutes could not be stored; see `weir dlq list`",
    },
  },
  {
    id: "default-spill",
    name: "Kafka is away",
    expr: "spill_age() > 5m",
    severity: "critical",
    annotations: { summary: "What is kept until Kafka is back is {{value}} ms old" },
  },
] as const;

export const DEFAULT_RULES: readonly AlertRule[] = DEFAULTS.flatMap(({ id, ...stored }) => {
  const origin = { tenant: DEPLOYMENT, id, createdAt: "1970-01-01T00:00:00.000Z", createdBy: "weir" };
  return ruleOf(stored, origin) ?? [];
});
