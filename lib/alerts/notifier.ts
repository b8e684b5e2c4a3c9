// Notifiers: who is told of alerts, and how a notification is written for each kind. A webhook is signed as Standard
// Webhooks says (standardwebhooks.com), so that receivers verify it with a library that there is.
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { z } from "zod";
import type { Notification } from "./alert.ts";
import { lineShape } from "./rule.ts";
import { formatValue } from "./template.ts";

export const NOTIFIER_KINDS = ["webhook", "slack"] as const;
export type NotifierKind = (typeof NOTIFIER_KINDS)[number];

/** Notifiers of one tenant. */
export const MAX_NOTIFIERS = 20;

export const newNotifierShape = z
  .strictObject({
    name: lineShape(100),
    kind: z.enum(NOTIFIER_KINDS),
    url: z.string().min(1).max(2_000).describe("https, at a public address; it is shown by its host only"),
    tenant: z.string().optional().describe("`_deployment` for the operator's alerts"),
  })
  .meta({ id: "NewAlertNotifier" });

/** A webhook's key follows from the deployment's secret, so that none is kept and no tenant can sign for another. */
export function webhookSecret(deploymentSecret: string, tenant: string, id: string): string {
  const key = createHmac("sha256", deploymentSecret)
    .update(`weir webhook\n${tenant}\n${id}`)
    .digest("base64");
  return `whsec_${key}`;
}

export function signedHeaders(
  id: string,
  body: string,
  secret: string,
  nowMs: number,
): Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string> {
  const seconds = String(Math.floor(nowMs / 1_000));
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": `v1,${signature}` };
}

const MAX_LINES = 20;
const MAX_LINE_CHARS = 500;

/** docs.slack.dev/messaging/formatting-message-text: &, < and > are escaped, nothing else. */
export function slackBody({ status, name, severity, alerts }: Notification): string {
  const lines = alerts.slice(0, MAX_LINES).map(({ state, labels, value, annotations, since }) => {
    const where = Object.entries(labels).map(([label, text]) => `${label}=${text}`);
    const told = annotations["summary"] ?? (where.length > 0 ? where.join(", ") : name);
    return `• ${escaped(state === "resolved" ? "resolved" : "firing")}: ${escaped(told)} (${formatValue(value)}, since ${since})`;
  });
  const rest = alerts.length - lines.length;
  const title = `*[${status.toUpperCase()}] ${escaped(name)}* (${severity})`;
  return JSON.stringify({ text: [title, ...lines, ...(rest > 0 ? [`… and ${rest} more`] : [])].join("\n") });
}

function escaped(text: string): string {
  return text
    .slice(0, MAX_LINE_CHARS)
    .toWellFormed()
    .replaceAll(/[\r\n]+/g, " ")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
