// What tests inside workerd ask of the deployed worker.
import { createExecutionContext, env, runDurableObjectAlarm, waitOnExecutionContext } from "cloudflare:test";
import { expect } from "vitest";
import worker from "../../../functions/worker.ts";
import { DEV_KEY } from "../../../lib/auth/api-key.ts";
import type { Signal } from "../../../lib/telemetry/signal.ts";

export const GROUP = "weir-storage";

/** Sends a request as the development key (another with `Authorization`), and waits for what goes on behind the answer. */
export async function send(
  path: string,
  init: RequestInit = {},
  settings: Record<string, string> = {},
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("Authorization")) headers.set("Authorization", `Bearer ${DEV_KEY}`);
  // As every client does that has its body whole; without it a request weighs as much as the largest (admission.ts).
  const { body } = init;
  if (typeof body === "string") headers.set("Content-Length", String(new TextEncoder().encode(body).length));
  if (body instanceof Uint8Array) headers.set("Content-Length", String(body.length));
  const context = createExecutionContext();
  const request = new Request(`http://weir.test${path}`, { ...init, headers });
  const isChanged = Object.keys(settings).length > 0;
  const response = await worker.fetch(request, isChanged ? { ...env, ...settings } : env, context);
  await waitOnExecutionContext(context);
  return response;
}

export async function post(
  path: string,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<Response> {
  return await send(path, { method: "POST", body, headers });
}

export async function postJson(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return await post(path, JSON.stringify(body), { "Content-Type": "application/json", ...headers });
}

export async function getList<T>(path: string): Promise<T[]> {
  const response = await send(path);
  if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return await response.json();
}

/** Runs the alarms of a topic's owners now, instead of waiting for them; one that rang by itself is waited for. */
export async function drain(topic: string, partitions = 3): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const owner = env.PARTITION_CONSUMER.getByName(`${GROUP}/${topic}/${partition}`);
    if (await runDurableObjectAlarm(owner)) continue;
    await owner.halt();
    await runDurableObjectAlarm(owner);
  }
}

/**
 * As {@link drain}, but to the log's end, however long it is by now, and also where no poke came: the clock stood still,
 * or what wrote was not the intake.
 */
export async function wakeAndDrain(topic: string, signal: Signal, partitions = 3): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const owned = { group: GROUP, topic, partition, signal };
    await env.PARTITION_CONSUMER.getByName(`${GROUP}/${topic}/${partition}`).wake(owned);
  }
  const isAtEnd = async () => {
    await drain(topic, partitions);
    const lag = await getList<{ group: string; topic: string; lag: number | null }>("/api/v1/lag");
    const isRead = (row: (typeof lag)[number]) => row.group === GROUP && row.topic === topic && row.lag === 0;
    return lag.filter(isRead).length === partitions;
  };
  await expect.poll(isAtEnd, { timeout: 30_000, interval: 10 }).toBe(true);
}

interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  type: string;
  request_id: string;
  errors: { index?: number; path: string; reason: string; message: string }[];
}

/** Reads an error's body, which must be a problem document in every respect. */
export async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body: Problem = await response.json();
  expect(body.status).toBe(response.status);
  expect(body.request_id).toBe(response.headers.get("x-request-id"));
  expect(body.type).toBe(`urn:weir:problem:${body.code}`);
  return body;
}
