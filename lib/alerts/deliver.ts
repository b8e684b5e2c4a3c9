// Sends one notification, and says what became of it. Never throws, follows no redirect, waits no longer than its
// deadline; what it tells never holds the URL, whose path may be a secret.
import type { Notification } from "./alert.ts";
import { urlFault } from "./notifier-url.ts";
import { signedHeaders, slackBody, webhookSecret, type NotifierKind } from "./notifier.ts";

export interface Notifier {
  id: string;
  tenant: string;
  kind: NotifierKind;
  url: string;
}

export interface DeliveryDeps {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  now: () => number;
  isDevelopment: boolean;
  /** Undefined: webhooks cannot be signed, and are not sent. */
  secret: string | undefined;
}

export type Delivered = { ok: true } | { ok: false; error: string };

const DELIVERY_DEADLINE_MS = 5_000;

/** After so many attempts it is given up: some two hours. */
export const MAX_ATTEMPTS = 20;
const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 10 * 60_000;

/** @param attempts made so far, at least one @param random 0 ≤ r < 1 */
export function pauseMs(attempts: number, random: number): number {
  const fullMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempts - 1));
  return Math.round(fullMs * (0.5 + random / 2));
}

export async function deliver(
  { id: notifier, tenant, kind, url }: Notifier,
  body: string,
  { fetch, now, isDevelopment, secret }: DeliveryDeps,
): Promise<Delivered> {
  // Once more: the settings may be others than when it was made.
  const fault = urlFault(url, isDevelopment);
  if (fault !== undefined) return failed(`the URL ${fault}`);
  let text: string;
  let headers: Record<string, string> = {};
  try {
    const notification = JSON.parse(body) as Notification;
    if (kind === "slack") text = slackBody(notification);
    else {
      if (secret === undefined) return failed("ALERT_WEBHOOK_SECRET is not set");
      text = body;
      headers = signedHeaders(notification.id, body, webhookSecret(secret, tenant, notifier), now());
    }
  } catch {
    return failed("the notification cannot be read");
  }
  const signal = AbortSignal.timeout(DELIVERY_DEADLINE_MS);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": "weir-alerts", ...headers },
      body: text,
      redirect: "manual",
      signal,
    });
    // Nobody needs the answer's body; a connection is not to be held for it.
    await response.body?.cancel();
    if (response.ok) return { ok: true };
    if (response.status >= 300 && response.status < 400)
      return failed(`it answered with a redirect (HTTP ${response.status}), and redirects are not followed`);
    return failed(`it answered HTTP ${response.status}`);
  } catch {
    return failed(signal.aborted ? `no answer within ${DELIVERY_DEADLINE_MS} ms` : "the connection failed");
  }
}

const failed = (error: string): Delivered => ({ ok: false, error });
