// Alerts, their rules, silences and notifiers as the API tells them, as zod shapes. What is taken is lib/alerts': its
// rules are those of the judging.
import { z } from "zod";
import { pageShape } from "./page-shape.ts";

const tenant = z
  .string()
  .describe("Whose; one's own unless given. Another's, or `_deployment`, takes the scope `operator`.")
  .optional();
const labels = z.record(z.string(), z.string());
const time = z.iso.datetime();

/** Those that are over are in the history only. */
export const HISTORY_STATES = ["pending", "firing", "resolved", "inactive", "all"] as const;

export const alertsQueryShape = pageShape.extend({
  state: z
    .enum(HISTORY_STATES)
    .describe(
      "Left out: what is pending or firing now. Else the history: each time that an alert came to this state " +
        "(`inactive`: it was pending and did not last), or `all`.",
    )
    .optional(),
  tenant,
});

export const alertShape = z
  .object({
    id: z
      .string()
      .describe("tenant/rule/fingerprint/n: of this transition, and the same wherever it is told"),
    tenant: z.string(),
    rule: z.string().describe("id of the rule"),
    name: z.string(),
    expr: z.string(),
    severity: z.string(),
    state: z.enum(["pending", "firing", "resolved", "inactive"]),
    labels,
    value: z.number(),
    annotations: z.record(z.string(), z.string()),
    since: time.describe("since when the condition holds, or held until it was over"),
    at: time.describe("when it came to this state"),
    silenced: z.boolean().describe("at that time; of what is active: now"),
  })
  .meta({ id: "Alert" });

export const ofTenantShape = z.object({ tenant });

export const alertRuleShape = z
  .object({
    id: z.string(),
    tenant: z.string(),
    name: z.string(),
    expr: z.string(),
    for: z.string().describe("for how long it must hold before it fires; `0s`: not at all"),
    severity: z.enum(["info", "warning", "critical"]),
    annotations: z.record(z.string(), z.string()),
    repeat_interval: z.string(),
    notifiers: z.array(z.string()).nullable().describe("ids; null: all of the tenant's"),
    created_at: time,
    created_by: z.string().describe("id of the key; `weir`: it is one of the defaults"),
    enabled: z.boolean().describe("false: it is not judged, and has no alerts"),
    revision: z.int().describe("1, and one more with each change"),
    updated_at: time.describe("when it was changed last, or made"),
    updated_by: z.string().describe("id of the key"),
    last_error: z.string().nullable().describe("why it could not be judged the last time; null: it was"),
    failing_since: time.nullable().describe("since when it cannot be judged"),
  })
  .meta({ id: "AlertRule" });

export const testedRuleShape = z
  .object({
    expr: z.string(),
    complete: z
      .boolean()
      .describe("false: the readers are behind, or something did not answer; there may be more, or none"),
    error: z.string().nullable().describe("why it cannot be judged now; null: it can"),
    results: z.array(z.object({ labels, value: z.number(), violated: z.boolean() })),
  })
  .meta({ id: "AlertRuleTest" });

export const silencesQueryShape = pageShape.pick({ limit: true }).extend({
  expired: z.enum(["true", "false"]).describe("`true`: those that are over, too").optional(),
  tenant,
});

export const silenceShape = z
  .object({
    id: z.string(),
    tenant: z.string(),
    state: z.enum(["pending", "active", "expired"]),
    matchers: z.array(z.object({ name: z.string(), op: z.enum(["=", "!="]), value: z.string() })),
    starts_at: time,
    ends_at: time,
    author: z.string(),
    comment: z.string(),
    created_at: time,
    created_by: z.string(),
  })
  .meta({ id: "AlertSilence" });

export const notifierShape = z
  .object({
    id: z.string(),
    tenant: z.string(),
    name: z.string(),
    kind: z.enum(["webhook", "slack"]),
    host: z.string().describe("of its URL, which is not shown, since it may hold a secret"),
    created_at: time,
    created_by: z.string(),
    sent_total: z.int().describe("notifications that it took"),
    dropped_total: z.int().describe("notifications that were given up"),
    last_error: z.string().nullable().describe("of the last attempt; null: it went well"),
  })
  .meta({ id: "AlertNotifier" });

export const madeNotifierShape = notifierShape
  .extend({
    secret: z
      .string()
      .nullable()
      .describe(
        "verifies a webhook's signatures (standardwebhooks.com); told this once; null: slack has none",
      ),
  })
  .meta({ id: "MadeAlertNotifier" });
