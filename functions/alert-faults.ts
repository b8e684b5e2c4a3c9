// Why rules cannot be judged, as it is shown where they are listed. Written when it changes only: a rule that is judged
// well, or fails as before, costs nothing.
import type { JudgedRule } from "../lib/alerts/judge.ts";
import { logger } from "../lib/observability/logger.ts";
import type { D1Alerts } from "../lib/storage/d1-alerts.ts";
import { StorageError } from "../lib/storage/storage.ts";
import { RuleError } from "./alert-evaluate.ts";
import { isDefault } from "./alert-rules.ts";

/** What the tenant is told: nothing of what lies behind Weir. The log has the rest. */
export function faultOf(error: unknown): string {
  if (error instanceof RuleError) return error.message;
  if (error instanceof StorageError) return "the storage did not answer; it is tried again";
  return "it failed by a fault of Weir's; the operator's log tells which";
}

/**
 * Never throws: it is noted by the next judgement.
 * @param faults by the rule's id; none where it was not judged
 */
export async function noteFaults(
  alerts: D1Alerts,
  rules: readonly JudgedRule[],
  faults: ReadonlyMap<string, string | undefined>,
  nowMs: number,
): Promise<void> {
  for (const rule of rules) {
    const { tenant, id, revision, createdAt, createdBy } = rule;
    const message = faults.get(id);
    if (!faults.has(id) || message === rule.fault?.message) continue;
    const since = rule.fault?.since ?? new Date(nowMs).toISOString();
    const fault = message === undefined ? null : { message, since };
    try {
      // Without a row there is no place for it yet.
      if (isDefault(id) && revision === 1) {
        const row = { tenant, id, createdAt, createdBy, isDeleted: false, rule: fault ? { fault } : {} };
        await alerts.changeDefaultRule(row, revision);
      } else await alerts.noteFault(tenant, id, revision, fault);
    } catch (error) {
      logger.warn("alert_fault_not_noted", {
        tenant,
        rule: id,
        message: error instanceof Error ? error.message : String(error),
      });
      // The others would most likely fail alike, each after its deadline.
      return;
    }
  }
}
