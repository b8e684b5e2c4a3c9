// Writes the events that tell of requests to the events topic, by the intake's own way but no request: they cannot tell of
// themselves.
import type { Context } from "hono";
import { prepareRecords } from "../lib/ingest/prepare-records.ts";
import { topicName } from "../lib/kafka/topics.ts";
import type { RequestEvent } from "../lib/observability/request-events.ts";
import { uuidv7 } from "../lib/telemetry/batch-id.ts";
import { ok } from "../lib/telemetry/result.ts";
import { pokeOwners } from "./consume.ts";
import { knownState } from "./cluster.ts";
import { deploymentOf } from "./deployment.ts";
import { openTransport } from "./transport.ts";
import { wayTo, writeRecords } from "./write-records.ts";

export async function produceRequestEvents(c: Context, events: RequestEvent[]): Promise<void> {
  const env: Env = c.env;
  const deployment = deploymentOf(env);
  const { config, naming } = deployment;
  const receivedMs = Date.now();
  const request = {
    tenant: config.REQUEST_EVENTS_TENANT,
    attempt: 0,
    batch: uuidv7(receivedMs, crypto.getRandomValues(new Uint8Array(16))),
    receivedMs,
    skewMs: 0,
    bodyBytes: 0,
  };
  const body = { signal: "events" as const, records: events.map(ok), agentVersion: undefined };
  const transport = openTransport(env, deployment);
  try {
    const topic = topicName(naming, "events", "raw");
    const { tenant } = request;
    const state = knownState(undefined);
    const destination = {
      env,
      context: c.executionCtx,
      deployment,
      transport,
      topic,
      tenant,
      signal: body.signal,
      receivedMs,
      state,
    };
    const way = await wayTo(destination);
    const prepared = await prepareRecords({ ...request, ...way.limits }, body, way.rules);
    const outcome = await writeRecords(destination, way, prepared);
    await pokeOwners(env, outcome.grown);
    const failed = outcome.verdicts.find(({ status }) => status === "retry");
    if (failed?.status === "retry") throw failed.error;
  } finally {
    await transport.close();
  }
}
