/**
 * Redpanda's HTTP proxy, consumer groups. Facts: src/v/pandaproxy/rest/handlers.cc, src/v/kafka/client/consumer.cc and
 * tests/rptest/tests/pandaproxy_test.py; what differs is in local-kafka/README.md.
 */
import { type Context, Hono } from "hono";
import type { Groups } from "../../groups/groups.ts";
import { ApiError } from "../../http/api-error.ts";
import { BINARY_V2, JSON_V2, V2, acceptHeader, contentTypeHeader } from "../../http/media-type.ts";
import { checkName, int32Param, textParam } from "../../http/params.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import { KafkaError } from "../../log/kafka-error.ts";
import {
  parseCreateConsumer,
  parsePartitionOffsets,
  parsePartitions,
  parseSubscription,
} from "./consumer-requests.ts";
import { encodeRecords } from "./records-answer.ts";
import { parseBody, rawSegment } from "./topics.ts";

/** Redpanda's consumer_request_timeout_ms: a read never waits longer, whatever it asks for. */
const MAX_READ_WAIT_MS = 100;
/** Redpanda's consumer_request_max_bytes. */
const DEFAULT_READ_BYTES = 1024 * 1024;
const MAX_READ_BYTES = 16 * 1024 * 1024;
const MAX_BODY_BYTES = 1024 * 1024;

const INSTANCE = "/consumers/:group{[^/]*}/instances/:instance{[^/]*}";

export interface ConsumerRoutesOptions {
  groups: Groups;
  /** Where clients reach this broker; the request's own origin when undefined. */
  advertisedUrl: string | undefined;
}

type Ctx = Context<{ Bindings: Bindings }>;

export function consumerRoutes({
  groups,
  advertisedUrl,
}: ConsumerRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();

  app.post("/consumers/:group{[^/]+}", async (c) => {
    const format = checkFormats(c);
    const group = textParam("group_name", rawSegment(c, 2));
    const request = parseBody(await readBody(c, MAX_BODY_BYTES), parseCreateConsumer);
    const name = checkName(request.name ?? "");
    if (!["binary", "json"].includes(request.format ?? "binary")) {
      throw new ApiError(40002, "format must be 'binary' or 'json'");
    }
    if ((request["auto.offset.reset"] ?? "earliest") !== "earliest") {
      throw new ApiError(40002, "auto.offset must be earliest");
    }
    if ((request["auto.commit.enable"] ?? "false") !== "false") {
      throw new ApiError(40002, "auto.commit must be false");
    }
    const instance = groups.create(group, name === "" ? undefined : name);
    if (instance === undefined) {
      const message = "Consumer with specified consumer ID already exists in the specified consumer group.";
      throw new ApiError(40902, message);
    }
    const origin = advertisedUrl ?? new URL(c.req.url).origin;
    const path = `consumers/${encodeURIComponent(group)}/instances/${encodeURIComponent(instance)}`;
    const answer = { instance_id: instance, base_uri: `${origin.replace(/\/$/, "")}/${path}` };
    return c.body(JSON.stringify(answer), 200, { "content-type": format });
  });

  app.delete(INSTANCE, async (c) => {
    checkFormats(c);
    const { group, instance } = names(c);
    await asMember(group, instance, () => groups.remove(group, instance));
    return c.body(null, 204, { "content-type": BINARY_V2 });
  });

  app.post(`${INSTANCE}/subscription`, async (c) => {
    const format = checkFormats(c);
    const { group, instance } = names(c);
    const topics = parseBody(await readBody(c, MAX_BODY_BYTES), parseSubscription).map(checkName);
    await asMember(group, instance, () => groups.subscribe(group, instance, topics));
    return c.body(null, 204, { "content-type": format });
  });

  app.get(`${INSTANCE}/records`, async (c) => {
    const format = acceptHeader(c.req.header("accept"), [BINARY_V2, JSON_V2]);
    const { group, instance } = names(c);
    const timeoutMs = optionalInt32(c, "timeout") ?? MAX_READ_WAIT_MS;
    const maxBytes = optionalInt32(c, "max_bytes") ?? DEFAULT_READ_BYTES;
    const parts = await asMember(group, instance, () =>
      groups.read(group, instance, {
        timeoutMs: Math.min(timeoutMs, MAX_READ_WAIT_MS),
        maxBytes: Math.min(maxBytes, MAX_READ_BYTES),
      }),
    );
    return c.body(encodeRecords(parts, format), 200, { "content-type": format });
  });

  app.post(`${INSTANCE}/offsets`, async (c) => {
    checkFormats(c);
    const { group, instance } = names(c);
    const body = await readBody(c, MAX_BODY_BYTES);
    const offsets = body.byteLength === 0 ? undefined : parseBody(body, parsePartitionOffsets);
    for (const { topic } of offsets ?? []) checkName(topic);
    await asMember(group, instance, () => groups.commit(group, instance, offsets));
    return c.body(null, 204, { "content-type": BINARY_V2 });
  });

  app.get(`${INSTANCE}/offsets`, async (c) => {
    const format = checkFormats(c);
    const { group, instance } = names(c);
    const body = await readBody(c, MAX_BODY_BYTES);
    // A Request cannot carry a body with GET: in-process callers put the same JSON into the query.
    const text = body.byteLength > 0 ? body : Buffer.from(c.req.query("body") ?? "");
    const partitions = parseBody(text, parsePartitions);
    for (const { topic } of partitions) checkName(topic);
    const offsets = (await asMember(group, instance, () => groups.committed(group, instance, partitions)))
      .toSorted((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
      .map((entry) => ({ ...entry, metadata: "" }));
    return c.body(JSON.stringify({ offsets }), 200, { "content-type": format });
  });

  return app;
}

function checkFormats(c: Ctx): typeof V2 {
  contentTypeHeader(c.req.header("content-type"), [V2]);
  return acceptHeader(c.req.header("accept"), [V2], true);
}

function names(c: Ctx): { group: string; instance: string } {
  return {
    group: textParam("group_name", rawSegment(c, 2)),
    instance: textParam("instance", rawSegment(c, 4)),
  };
}

function optionalInt32(c: Ctx, name: string): number | undefined {
  const raw = c.req.query(name);
  return raw === undefined || raw === "" ? undefined : int32Param(name, raw);
}

/** Words an unknown instance as Redpanda's client does. */
async function asMember<T>(group: string, instance: string, use: () => T | Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof KafkaError) || error.code !== "unknown_member_id") throw error;
    const message = `${group}, ${instance}, { error_code: ${error.code} [${error.number}] }`;
    throw new ApiError(40403, message, { cause: error });
  }
}
