// What is thrown in a route, whichever it is: Kafka's errors by their code, in full to operators only.
import { createExecutionContext, env } from "cloudflare:test";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { answerError, prepare, requireScope, type AppEnv } from "../../functions/request-context.ts";
import { DEV_KEY, hashSecret } from "../../lib/auth/api-key.ts";
import { KafkaError } from "../../lib/kafka/errors.ts";
import { problemOf } from "../support/worker/client.ts";

const app = new Hono<AppEnv>();
app.use(prepare);
app.onError(answerError);
let thrown: Error = new Error("not set");
const fail = () => {
  throw thrown;
};
app.get("/open", fail);
app.get("/query", requireScope("query"), fail);

async function ask(path: string, error: Error, key = DEV_KEY): Promise<Response> {
  thrown = error;
  const request = new Request(`http://weir.test${path}`, { headers: { "X-API-Key": key } });
  return await app.fetch(request, env, createExecutionContext());
}

describe("an error of Kafka's", () => {
  const timeout = new KafkaError("timeout", "10.0.0.7:9092 did not answer", { retryAfterMs: 4_500 });

  it("is answered by its code, with the time to wait", async () => {
    const response = await ask("/query", timeout);
    expect(response.headers.get("retry-after")).toBe("5");
    const told = await problemOf(response);
    expect(told).toMatchObject({ status: 503, code: "kafka_unavailable", kafka_code: "timeout" });
    expect(told.detail).toBe("10.0.0.7:9092 did not answer.");
    const missing = await ask("/query", new KafkaError("unknown_topic", "there is no topic x"));
    expect(missing.headers.get("retry-after")).toBeNull();
    expect(await problemOf(missing)).toMatchObject({ status: 404, code: "unknown_topic" });
  });

  it("tells its message, which may name hosts, to operators only", async () => {
    const id = crypto.randomUUID().replaceAll("-", "");
    const secret = "s".repeat(32);
    await env.DB.prepare(
      "INSERT INTO api_keys (id, tenant, name, secret_sha256, scopes, created_at) VALUES (?, 'acme', 'n', ?, '[\"query\"]', '2026-01-01')",
    )
      .bind(id, hashSecret(secret))
      .run();
    for (const response of [
      await ask("/query", timeout, `weir_${id}_${secret}`),
      await ask("/open", timeout),
    ]) {
      const told = await problemOf(response);
      expect(told).toMatchObject({ status: 503, code: "kafka_unavailable" });
      expect(told.detail).toBe("Kafka did not do what this takes (timeout).");
    }
  });

  it("is not what every error is", async () => {
    expect(await problemOf(await ask("/query", new Error("secret")))).toMatchObject({
      status: 500,
      code: "internal",
      detail: expect.not.stringContaining("secret") as string,
    });
  });
});
