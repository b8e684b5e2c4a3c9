// What the consumers' bench has in the log: envelopes as the intake writes them, each with ten points of the ten metrics
// of one host. All hosts go through time together, so that the log is in the order of event time but for that.
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { NAMES, RECORDS_PER_ENVELOPE, STEPS, type ConsumeOptions } from "./consume-options.ts";

export const metricName = (i: number) => `bench_metric_${i}`;

/** Who owns them: the tenant of the development key, by which they are counted again. */
const TENANT = "dev";

export type LoggedEnvelope = { host: number; key: Uint8Array; value: Uint8Array };

/** @param startMs time of the first points */
export function* envelopesOf(
  { records, series, intervalMs }: Omit<ConsumeOptions, "settings">,
  startMs: number,
  received: string,
): Generator<LoggedEnvelope> {
  const hosts = series / NAMES;
  const indices = Array.from({ length: RECORDS_PER_ENVELOPE }, (_, i) => i);
  const head = `{"v":1,"tenant":"${TENANT}","signal":"metrics","received":"${received}","indices":[${indices.join()}]`;
  for (let envelope = 0; envelope < records / RECORDS_PER_ENVELOPE; envelope++) {
    const host = envelope % hosts;
    const firstStep = Math.floor(envelope / hosts) * STEPS;
    const entries: string[] = [];
    for (let step = firstStep; step < firstStep + STEPS; step++) {
      const timestamp = new Date(startMs + step * intervalMs).toISOString();
      for (let metric = 0; metric < NAMES; metric++) {
        // Like latencies: most are small, few are large.
        const value = Math.round(1_000 / (1 + ((envelope * 7919 + step * 104_729 + metric * 31) % 997))) / 10;
        entries.push(
          `{"name":"${metricName(metric)}","value":${value},"timestamp":"${timestamp}","labels":{"service":"api","host":"host-${host}","region":"eu-west-1"}}`,
        );
      }
    }
    yield {
      host,
      key: Buffer.from(`api:host-${host}`),
      value: Buffer.from(`${head},"batch":"${randomUUID()}","entries":[${entries.join()}]}`),
    };
  }
}
