// A tenant's alerts, as they come to be, and what proves the walls around them (test/functions/tenant-walls).
import { env } from "cloudflare:test";
import { expect } from "vitest";
import { step } from "../../../lib/alerts/instance.ts";
import { judge } from "../../../lib/alerts/judge.ts";
import { ruleOf } from "../../../lib/alerts/rule.ts";
import { D1AlertState } from "../../../lib/storage/d1-alert-state.ts";
import { D1Alerts } from "../../../lib/storage/d1-alerts.ts";
import { problemOf } from "./client.ts";
import type { StoredTenant } from "./stored-tenant.ts";

export const alertIds = ({ marker }: Pick<StoredTenant, "marker">) => ({
  rule: `rule-${marker}`,
  silence: `silence-${marker}`,
  notifier: `notifier-${marker}`,
});

/** One rule that fires, one silence, one notifier, each with the marker in it. */
export async function storeAlerts(stored: Pick<StoredTenant, "tenant" | "marker">): Promise<void> {
  const { tenant, marker } = stored;
  const ids = alertIds(stored);
  const origin = { tenant, createdAt: "2026-11-21T10:00:00.000Z", createdBy: "key" };
  const written = { name: marker, expr: `m > 1`, annotations: { summary: marker } };
  const alerts = new D1Alerts(env.DB);
  await alerts.addRule({ ...origin, id: ids.rule, rule: written, isDeleted: false }, 100);
  const silence = { matchers: [{ name: "host", op: "=", value: marker }], author: marker, comment: marker };
  const endsMs = Date.parse("2126-11-21T10:00:00.000Z");
  await alerts.addSilence(tenant, { ...origin, ...silence, id: ids.silence, startsMs: 0, endsMs }, 0, 100);
  const url = `https://${marker}.example.com/${marker}`;
  await alerts.addNotifier({ ...origin, id: ids.notifier, name: marker, kind: "webhook", url }, 100);
  const rule = ruleOf(written, { ...origin, id: ids.rule });
  if (!rule) throw new Error("the rule cannot be read");
  const observation = { labels: { host: marker }, value: 2, isViolated: true };
  expect(step(rule.id, undefined, observation, 0, 0)?.transition).toBe("firing");
  const judgement = judge({
    version: 1,
    nowMs: Date.parse(origin.createdAt),
    rules: [{ ...rule, isDeleted: false }],
    evaluations: new Map([[rule.id, { observations: [observation], isComplete: true }]]),
    instances: [],
    silences: [],
    notifiers: [],
  });
  await new D1AlertState(env.DB).record(tenant, { from: 0, to: 1 }, { ...judgement, outbox: [] }, 0);
}

type Ask = (method: string, path: string, key?: string, body?: string) => Promise<Response>;
type Writes = { writes: (owner: StoredTenant, key: string) => Promise<void> };
type Reads = { reads: (owner: StoredTenant) => string[] };

export function alertWalls(ask: Ask): Record<string, Reads | Writes> {
  const ofTenant = (path: string) => ({
    reads: ({ tenant }: StoredTenant) => [path, `${path}?tenant=${tenant}`],
  });
  const refuses = (path: string, body: object) => ({
    async writes({ tenant }: StoredTenant, key: string) {
      const before = await rowsOf(tenant);
      const response = await ask("POST", path, key, JSON.stringify({ ...body, tenant }));
      expect(await problemOf(response)).toMatchObject({ status: 403, code: "forbidden" });
      expect(await rowsOf(tenant)).toEqual(before);
    },
  });
  const leavesAlone = (path: string, idOf: (owner: StoredTenant) => string, change?: object) => ({
    async writes(owner: StoredTenant, key: string) {
      const before = await rowsOf(owner.tenant);
      for (const [query, status] of [
        ["", 404],
        [`?tenant=${owner.tenant}`, 403],
      ] as const) {
        const body = change && JSON.stringify(change);
        const response = await ask(body ? "PATCH" : "DELETE", `${path}/${idOf(owner)}${query}`, key, body);
        expect(await problemOf(response)).toMatchObject({ status });
      }
      expect(await rowsOf(owner.tenant)).toEqual(before);
    },
  });
  const rule = { name: "mine", expr: "m > 1" };
  return {
    "GET /api/v1/alerts": {
      reads: ({ tenant }) =>
        ["", "?state=all", "?state=firing", `?tenant=${tenant}`].map((query) => `/api/v1/alerts${query}`),
    },
    "GET /api/v1/alerts/rules": ofTenant("/api/v1/alerts/rules"),
    "GET /api/v1/alerts/rules/:id": {
      reads: (owner) => [`/api/v1/alerts/rules/${alertIds(owner).rule}`],
    },
    "GET /api/v1/alerts/silences": ofTenant("/api/v1/alerts/silences"),
    "GET /api/v1/alerts/notifiers": ofTenant("/api/v1/alerts/notifiers"),
    "POST /api/v1/alerts/rules": refuses("/api/v1/alerts/rules", rule),
    "POST /api/v1/alerts/rules/test": refuses("/api/v1/alerts/rules/test", rule),
    "POST /api/v1/alerts/silences": refuses("/api/v1/alerts/silences", {
      matchers: [{ name: "host", value: "a" }],
      ends_at: "2126-11-21T10:00:00.000Z",
      comment: "mine",
    }),
    "POST /api/v1/alerts/notifiers": refuses("/api/v1/alerts/notifiers", {
      name: "mine",
      kind: "slack",
      url: "https://hooks.example.com/x",
    }),
    "PATCH /api/v1/alerts/rules/:id": leavesAlone("/api/v1/alerts/rules", (owner) => alertIds(owner).rule, {
      enabled: false,
    }),
    "DELETE /api/v1/alerts/rules/:id": leavesAlone("/api/v1/alerts/rules", (owner) => alertIds(owner).rule),
    "DELETE /api/v1/alerts/silences/:id": leavesAlone(
      "/api/v1/alerts/silences",
      (owner) => alertIds(owner).silence,
    ),
    "DELETE /api/v1/alerts/notifiers/:id": leavesAlone(
      "/api/v1/alerts/notifiers",
      (owner) => alertIds(owner).notifier,
    ),
  };
}

async function rowsOf(tenant: string): Promise<unknown[]> {
  const rows = ["alert_rules", "alert_silences", "alert_notifiers"].map(
    async (table) =>
      (await env.DB.prepare(`SELECT * FROM ${table} WHERE tenant = ?`).bind(tenant).all()).results,
  );
  return (await Promise.all(rows)).flat();
}
