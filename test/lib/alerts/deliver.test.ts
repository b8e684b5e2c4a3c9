import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Notification } from "../../../lib/alerts/alert.ts";
import { deliver, pauseMs, MAX_ATTEMPTS, type Notifier } from "../../../lib/alerts/deliver.ts";
import { signedHeaders, slackBody, webhookSecret } from "../../../lib/alerts/notifier.ts";

const URL_WITH_SECRET = "https://hooks.example.com/T0/very-secret";
const webhook: Notifier = { id: "n1", tenant: "acme", kind: "webhook", url: URL_WITH_SECRET };

const notification: Notification = {
  id: "acme/r1/n1/7",
  status: "firing",
  tenant: "acme",
  rule: "r1",
  name: "CPU <hot> & loud",
  severity: "critical",
  alerts: [
    {
      id: "acme/r1/f1/7",
      tenant: "acme",
      rule: "r1",
      name: "CPU <hot> & loud",
      expr: "cpu > 80",
      severity: "critical",
      state: "firing",
      labels: { host: "web-1" },
      value: 93.400000001,
      annotations: { summary: "<!channel> web-1\nis at 93.4 %" },
      since: "2026-11-21T10:00:00.000Z",
      at: "2026-11-21T10:10:00.000Z",
      silenced: false,
    },
  ],
};
const body = JSON.stringify(notification);

interface Seen {
  url: string;
  init: RequestInit;
}

async function delivering(answer: (signal: AbortSignal) => Promise<Response>, notifier = webhook) {
  const seen: Seen[] = [];
  const delivered = await deliver(notifier, body, {
    fetch: async (url, init) => {
      seen.push({ url, init });
      return await answer(init.signal as AbortSignal);
    },
    now: () => 1_614_265_330_500,
    isDevelopment: false,
    secret: "of the deployment",
  });
  return { delivered, seen };
}

describe("a signature", () => {
  // The example of github.com/standard-webhooks/standard-webhooks, libraries' tests.
  it("is that of Standard Webhooks", () => {
    const headers = signedHeaders(
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      '{"test": 2432232314}',
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      1_614_265_330_000,
    );
    expect(headers).toEqual({
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  it("has a key of its own for each notifier and tenant", () => {
    const keys = [
      webhookSecret("a", "acme", "n1"),
      webhookSecret("a", "acme", "n2"),
      webhookSecret("a", "other", "n1"),
      webhookSecret("b", "acme", "n1"),
    ];
    expect(new Set(keys).size).toBe(4);
    // 24 to 64 bytes, as the specification asks.
    expect(Buffer.from((keys[0] as string).slice(6), "base64")).toHaveLength(32);
  });
});

describe("a webhook", () => {
  it("is sent once, signed, and follows no redirect", async () => {
    const { delivered, seen } = await delivering(async () => new Response(null, { status: 204 }));
    expect(delivered).toEqual({ ok: true });
    expect(seen).toHaveLength(1);
    const [{ url, init }] = seen as [Seen];
    expect(url).toBe(URL_WITH_SECRET);
    expect(init).toMatchObject({ method: "POST", redirect: "manual", body });
    const key = Buffer.from(webhookSecret("of the deployment", "acme", "n1").slice(6), "base64");
    const signed = createHmac("sha256", key).update(`acme/r1/n1/7.1614265330.${body}`).digest("base64");
    expect(init.headers).toMatchObject({ "webhook-id": "acme/r1/n1/7", "webhook-signature": `v1,${signed}` });
  });

  it.each([
    ["a refusal", async () => new Response("very-secret", { status: 500 }), /HTTP 500/],
    [
      "a redirect",
      async () => Response.redirect("http://169.254.169.254/", 302),
      /redirects are not followed/,
    ],
    [
      "a broken connection",
      async () => Promise.reject(new Error(`no route to ${URL_WITH_SECRET}`)),
      /connection failed/,
    ],
  ])("tells of %s, and nothing of the URL", async (_, answer: () => Promise<Response>, message) => {
    const { delivered } = await delivering(answer);
    if (delivered.ok) throw new Error("it arrived");
    expect(delivered.error).toMatch(message);
    expect(delivered.error).not.toContain("secret");
  });

  it("is not sent where its URL leads into a private network by now", async () => {
    const { delivered, seen } = await delivering(async () => new Response(), {
      ...webhook,
      url: "https://[::1]/",
    });
    expect(delivered).toMatchObject({ ok: false, error: /public address/ });
    expect(seen).toEqual([]);
  });

  it("is not sent unsigned", async () => {
    const deps = {
      fetch: async () => new Response(),
      now: Date.now,
      isDevelopment: false,
      secret: undefined,
    };
    expect(await deliver(webhook, body, deps)).toMatchObject({ ok: false, error: /ALERT_WEBHOOK_SECRET/ });
    expect(await deliver({ ...webhook, kind: "slack" }, body, deps)).toEqual({ ok: true });
  });

  it("waits longer from attempt to attempt, and ends", () => {
    const pauses = Array.from({ length: MAX_ATTEMPTS }, (_, i) => pauseMs(i + 1, 0.5));
    expect(pauses.slice(0, 3)).toEqual([3_750, 7_500, 15_000]);
    expect(Math.max(...pauses)).toBe(450_000);
    expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
  });
});

it("is written for Slack without anything that Slack would obey", () => {
  const { text } = JSON.parse(slackBody(notification)) as { text: string };
  expect(text).toBe(
    "*[FIRING] CPU &lt;hot&gt; &amp; loud* (critical)\n" +
      "• firing: &lt;!channel&gt; web-1 is at 93.4 % (93.4, since 2026-11-21T10:00:00.000Z)",
  );
});
