// A newcomer's first minute, whatever carries the records: Weir starts, this machine's figures come back through Kafka,
// keys lie where the Java client would put them, and a thousand requests at once are accepted and stored once.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { partitionOf } from "../../lib/kafka/partitioner.ts";
import { allLogs, getJson, postLogs, postTo } from "../support/api.ts";
import { until, type StartedWeir } from "../support/start.ts";

export interface FirstMinute {
  weir: StartedWeir;
  /** Keys and values of a topic's messages as text, by partition: an eye on the log that is not our client. */
  readTopic(topic: string): Promise<{ key: string; value: string }[][]>;
  close(): Promise<void>;
}

export function firstMinuteSuite(name: string, open: () => Promise<FirstMinute>): void {
  describe(name, () => {
    let opened: FirstMinute | undefined;
    let weir: StartedWeir;
    let readTopic: FirstMinute["readTopic"];

    beforeAll(async () => {
      opened = await open();
      ({ weir, readTopic } = opened);
    });
    afterAll(async () => {
      await opened?.close();
    });

    it("returns this machine's CPU figures within 15 s of its ready line", async () => {
      const path = "/api/v1/metrics?name=cpu_usage_percent&limit=10";
      await until(async () => (await getJson<unknown[]>(weir.url, path)).length > 0, 15_000);
      const [metric] = await getJson<{ value: number; labels: { host: string }; timestamp: string }[]>(
        weir.url,
        path,
      );
      expect(metric!.value).toBeGreaterThanOrEqual(0);
      expect(metric!.value).toBeLessThanOrEqual(100);
      expect(metric!.labels.host).not.toBe("");
      expect(Math.abs(Date.now() - Date.parse(metric!.timestamp))).toBeLessThan(30_000);
      const messages = await readTopic("metrics.raw");
      expect(messages.flat().some(({ value }) => value.includes("cpu_usage_percent"))).toBe(true);
    });

    it("serves the page", async () => {
      const response = await fetch(weir.url);
      expect(response.headers.get("content-type")).toMatch(/text\/html/);
      const html = await response.text();
      for (const [, path] of html.matchAll(/(?:src|href)="(\/?[^":#]+)"/g)) {
        const asset = await fetch(new URL(path!, weir.url));
        expect(asset.status, path).toBe(200);
        await asset.arrayBuffer();
      }
      expect(html).not.toMatch(/https?:\/\//);
    });

    it("puts a key where the Java client would, as Kafka itself tells", async () => {
      const services = Array.from({ length: 40 }, (_, i) => `größe-${i}`);
      const response = await postLogs(
        weir.url,
        services.map((service) => ({ message: "m", service, host: "h" })),
      );
      expect(response.status).toBe(202);
      const partitions = await readTopic("logs.raw");
      const where = new Map(
        partitions.flatMap((messages, partition) => messages.map(({ key }) => [key, partition])),
      );
      for (const service of services) {
        const key = `${service}:h`;
        expect(where.get(key), key).toBe(partitionOf(Buffer.from(key), 3));
      }
    });

    it("accepts 20 clients × 50 requests, and all 1,000 are readable within 5 s of the last answer", async () => {
      const service = "load";
      const statuses: number[] = [];
      const client = async (n: number) => {
        for (let request = 0; request < 50; request++) {
          const response = await postLogs(weir.url, { message: `${n}/${request}`, service, host: `h${n}` });
          statuses.push(response.status);
          await response.arrayBuffer();
        }
      };
      await Promise.all(Array.from({ length: 20 }, (_, n) => client(n)));
      expect(statuses).toHaveLength(1_000);
      expect(statuses.filter((status) => status === 202)).toHaveLength(1_000);
      await until(async () => (await allLogs(weir.url, service)).length >= 1_000, 5_000);
      const messages = (await allLogs(weir.url, service)).map(({ message }) => message);
      expect(messages).toHaveLength(1_000);
      expect(new Set(messages).size).toBe(1_000);
    });

    it("has 1,000 metrics in storage and in windows within 5 s of the last answer", async () => {
      const name = "load_value";
      const post = async (host: number) => {
        const points = Array.from({ length: 50 }, (_, value) => ({
          name,
          value,
          labels: { host: `h${host}` },
        }));
        const response = await postTo(weir.url, "/api/v1/metrics", points);
        expect(response.status, await response.text()).toBe(202);
      };
      await Promise.all(Array.from({ length: 20 }, (_, host) => post(host)));
      type Counted = { count: number; sum: number };
      const windows = async (window: string) =>
        await getJson<Counted[]>(weir.url, `/api/v1/metrics/windows?name=${name}&window=${window}`);
      const sumOf = (rows: Counted[]) => rows.reduce((sum, { count }) => sum + count, 0);
      await until(async () => sumOf(await windows("1m")) >= 1_000, 5_000);
      const rows = await getJson<unknown[]>(weir.url, `/api/v1/metrics?name=${name}&limit=1000`);
      expect(rows).toHaveLength(1_000);
      for (const window of ["1m", "5m", "1h"]) {
        const results = await windows(window);
        expect(sumOf(results), window).toBe(1_000);
        expect(results.reduce((sum, one) => sum + one.sum, 0)).toBe(20 * 49 * 25);
      }
    });

    it("shows in its lag and status that all is read", async () => {
      await until(
        async () => (await getJson<{ lag: number }[]>(weir.url, "/api/v1/lag")).every(({ lag }) => lag === 0),
        5_000,
      );
      expect(await getJson(weir.url, "/kafka/status")).toMatchObject({
        kafka_producer: "connected",
        kafka_consumer: "running",
        topics_missing: [],
      });
    });
  });
}
