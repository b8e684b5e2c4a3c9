// curl: every JSON form as a person or a shell script sends it, each way to give the key, and OTLP/JSON with the points
// that no SDK makes. `--retry` goes through 429 and 503, and with an Idempotency-Key through a lost answer too.
import { randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type Fault, type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { devKey } from "../support/start.ts";
import { runClient } from "./client-process.ts";
import { everyPoint } from "./otlp-points.ts";
import { eventsOf, logsOf, metricsOf, nanosOf, untilConsumed } from "./read-back.ts";
import { packaged, pathOf } from "./tools.ts";

const curl = packaged("curl", "curl");
const bearer = ["-H", `Authorization: Bearer ${devKey}`];
const json = ["-H", "Content-Type: application/json"];
const UNICODE = 'naïve 日本語 🎉 "quoted" \\ \u2028';

/** Its own lines of code could not retry better: it waits as `Retry-After` says. */
const retrying = ["--retry", "5", "--retry-max-time", "30"];

async function post(
  url: string,
  path: string,
  args: readonly string[],
  input: string | Buffer,
): Promise<string> {
  const common = ["--no-progress-meter", "--fail-with-body", "--max-time", "20", `${url}${path}`];
  return await runClient(pathOf(curl), [...common, ...args], { input });
}

async function throughFaults(
  target: string,
  faults: readonly Fault[],
  send: (proxy: FaultProxy) => Promise<unknown>,
): Promise<FaultProxy["exchanges"]> {
  const proxy = await startFaultProxy({ target, faults });
  try {
    await send(proxy);
    return proxy.exchanges;
  } finally {
    await proxy.close();
  }
}

export function curlSuite(url: () => string): void {
  describe.skipIf(!curl.available)("sends", () => {
    test("a log by -d, with the type that -d names", async () => {
      const service = randomUUID();
      const timestamp = new Date().toISOString().replace("Z", "456789Z");
      const log = {
        message: UNICODE,
        level: "warning",
        service,
        host: "web-ü",
        timestamp,
        attributes: { big: "9007199254740993", deep: { list: [1, null, true, "x"] } },
        user: "añejo",
      };
      const answer = await post(url(), "/api/v1/logs", [...bearer, "-d", JSON.stringify(log)], "");
      expect(JSON.parse(answer)).toMatchObject({ status: "queued", accepted: 1, rejected: 0 });
      await untilConsumed(url());
      const { user, ...rest } = log;
      const fingerprint = expect.stringMatching(/^[0-9a-f]{16}$/);
      const attributes = { ...log.attributes, user, fingerprint };
      expect(await logsOf(url(), service)).toEqual([
        expect.objectContaining({ ...rest, level: "WARN", attributes }),
      ]);
    });

    test("NDJSON logs, retried through 429 and 503", async () => {
      const service = randomUUID();
      const messages = Array.from({ length: 50 }, (_, i) => `line ${i} ${UNICODE}`);
      const body = messages.map((message) => JSON.stringify({ message, service })).join("\n");
      const args = [
        ...bearer,
        ...retrying,
        "-H",
        "Content-Type: application/x-ndjson",
        "--data-binary",
        "@-",
      ];
      const exchanges = await throughFaults(url(), [429, 503], (proxy) =>
        post(proxy.url, "/api/v1/logs", args, body),
      );
      expect(exchanges.map(({ status }) => status)).toEqual([429, 503, 202]);
      await untilConsumed(url());
      expect((await logsOf(url(), service)).map(({ message }) => message).toSorted()).toEqual(
        messages.toSorted(),
      );
    });

    test("metrics under an Idempotency-Key, whose first answer is lost: counted once", async () => {
      const name = `curl_retried_${randomUUID().replaceAll("-", "")}`;
      const metrics = Array.from({ length: 20 }, (_, i) => ({
        name,
        value: i + 0.5,
        labels: { host: "h", i: String(i) },
      }));
      const key = ["-H", `Idempotency-Key: ${randomUUID()}`];
      const args = [...bearer, ...json, ...key, ...retrying, "--data-binary", "@-"];
      const exchanges = await throughFaults(url(), ["lost", 429], (proxy) =>
        post(proxy.url, "/api/v1/metrics", args, JSON.stringify({ metrics })),
      );
      expect(exchanges.map(({ answer }) => answer?.status)).toEqual([202, undefined, 202]);
      await untilConsumed(url());
      const rows = await metricsOf(url(), name);
      expect(rows.map(({ value }) => Number(value)).toSorted((a, b) => a - b)).toEqual(
        metrics.map(({ value }) => value),
      );
    });

    test("logs with ids and no Idempotency-Key, whose first answer is lost: counted once", async () => {
      const service = randomUUID();
      const entries = Array.from({ length: 20 }, (_, i) => ({
        message: `${i}`,
        service,
        id: `${service}-${i}`,
      }));
      const args = [...bearer, ...json, ...retrying, "--data-binary", "@-"];
      await throughFaults(url(), ["lost"], (proxy) =>
        post(proxy.url, "/api/v1/logs", args, JSON.stringify({ entries })),
      );
      await untilConsumed(url());
      expect(
        (await logsOf(url(), service)).map(({ message }) => Number(message)).toSorted((a, b) => a - b),
      ).toEqual(entries.map((_, i) => i));
    });

    test("gzip in chunks, with the key as X-API-Key; both metric forms and extreme numbers", async () => {
      const id = randomUUID().replaceAll("-", "");
      const timestamp = new Date().toISOString();
      const body = [
        { name: `curl_max_${id}`, value: Number.MAX_VALUE, labels: { host: "ü", empty: "" }, timestamp },
        { name: `curl_min_${id}`, value: -5e-324, timestamp },
        { name: `curl_int_${id}`, value: Number.MAX_SAFE_INTEGER, timestamp },
        {
          timestamp,
          database_type: "pg",
          instance_id: "db-1",
          metric_name: `curl_db_${id}`,
          value: 0.1,
          tags: { db: "x" },
        },
      ];
      const args = [
        "-H",
        `X-API-Key: ${devKey}`,
        ...json,
        "-H",
        "Content-Encoding: gzip",
        "-X",
        "POST",
        "-T",
        "-",
      ];
      const exchanges = await throughFaults(url(), [], (proxy) =>
        post(proxy.url, "/api/v1/metrics", args, gzipSync(JSON.stringify(body))),
      );
      expect(exchanges[0]?.headers).toMatchObject({
        "transfer-encoding": "chunked",
        "content-encoding": "gzip",
      });
      await untilConsumed(url());
      const rows = await Promise.all(
        ["max", "min", "int", "db"].map((name) => metricsOf(url(), `curl_${name}_${id}`)),
      );
      expect(rows.flat()).toEqual([
        expect.objectContaining(body[0]),
        expect.objectContaining({ ...body[1], labels: {} }),
        expect.objectContaining({ ...body[2], labels: {} }),
        expect.objectContaining({
          name: `curl_db_${id}`,
          value: 0.1,
          timestamp,
          labels: { database_type: "pg", instance_id: "db-1", db: "x" },
        }),
      ]);
    });

    test("events and CloudEvents, with the key as the password of Basic", async () => {
      const type = `curl.${randomUUID()}`;
      const basic = ["-u", `anyone:${devKey}`];
      const data = { text: UNICODE, list: [1, [2, { three: null }]] };
      await post(
        url(),
        "/api/v1/events",
        [...basic, ...json, "-d", JSON.stringify({ event_type: type, data })],
        "",
      );
      const time = new Date().toISOString().replace("Z", "000001Z");
      const cloudEvent = {
        specversion: "1.0",
        type,
        source: "/curl",
        id: "é 1",
        time,
        data,
        comment: "more",
      };
      const structured = ["-H", "Content-Type: application/cloudevents+json"];
      await post(url(), "/api/v1/events", [...basic, ...structured, "-d", JSON.stringify(cloudEvent)], "");
      await untilConsumed(url());
      const rows = await eventsOf(url(), type);
      expect(rows).toHaveLength(2);
      for (const row of rows) expect(row).toMatchObject({ event_type: type, data });
      expect(rows.find(({ timestamp }) => timestamp === time)).toMatchObject({
        attributes: { ce_source: "/curl", ce_id: "é 1", comment: "more" },
      });
    });

    test("OTLP/JSON: every kind of point with all that it can carry", async () => {
      const id = randomUUID().replaceAll("-", "");
      const { body, points } = everyPoint(id, UNICODE);
      const args = [...bearer, ...json, ...retrying, "--data-binary", "@-"];
      const exchanges = await throughFaults(url(), [429, 503], (proxy) =>
        post(proxy.url, "/v1/metrics", args, JSON.stringify(body)),
      );
      expect(exchanges.map(({ answer }) => answer?.status)).toEqual([undefined, undefined, 200]);
      expect(exchanges[2]?.answer?.body).toBe("{}");
      await untilConsumed(url());
      for (const { name, rowKind, kind, value, dataPoint } of points) {
        const rows = await metricsOf(url(), name);
        expect(rows, name).toHaveLength(1);
        expect(rows[0], name).toMatchObject({
          name,
          value,
          kind: rowKind,
          labels: { region: "é", service: `curl-${id}` },
        });
        expect(nanosOf(rows[0]?.timestamp ?? "")).toBe(BigInt(dataPoint.timeUnixNano));
        const otlp = rows[0]?.detail?.otlp;
        expect(otlp?.metric, name).toMatchObject({ name, kind, unit: "By", description: UNICODE });
        expect(otlp?.dataPoint, name).toEqual(dataPoint);
        expect(otlp?.scope).toEqual({ name: "scope", version: "1.2.3" });
      }
    });
  });
}
