// A tenant with keys and one stored record of each kind, for tests of what an endpoint tells, and to whom. All of its
// texts hold the marker, by which they are found again wherever they come out.
import { env } from "cloudflare:test";
import { hashSecret, type Scope } from "../../../lib/auth/api-key.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import type { Span } from "../../../lib/telemetry/span.ts";
import type { WindowChanges } from "../../../lib/storage/storage.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { emptyPartial, fold } from "../../../lib/windows/partial.ts";
import { seriesId } from "../../../lib/windows/series.ts";
import { ledgerEntry, partitionCommit, positionAt } from "../../contract/partition-commit.ts";

export interface StoredTenant {
  tenant: string;
  marker: string;
  traceId: string;
  /** Id of a key that is good for nothing but being listed. */
  keyId: string;
}

const random = () => crypto.randomUUID().replaceAll("-", "");

export function newTenant(): StoredTenant {
  const marker = random();
  return { tenant: `t-${marker}`, marker, traceId: random(), keyId: random() };
}

export interface KeyOptions {
  id?: string;
  name?: string;
  signals?: string[];
}

/** @returns the key itself, as it stands in a request */
export async function storeKey(tenant: string, scopes: Scope[], options: KeyOptions = {}): Promise<string> {
  const { id = random(), name = "test", signals } = options;
  const secret = "s".repeat(40);
  await env.DB.prepare(
    "INSERT INTO api_keys (id, tenant, name, secret_sha256, scopes, signals, created_at) VALUES (?, ?, ?, ?, ?, ?, '2026-01-01T00:00:00.000Z')",
  )
    .bind(
      id,
      tenant,
      name,
      hashSecret(secret),
      JSON.stringify(scopes),
      signals === undefined ? null : JSON.stringify(signals),
    )
    .run();
  return `weir_${id}_${secret}`;
}

/** @param traceId of its spans; two tenants may have the same */
export async function storeRecords({ tenant, marker, traceId }: StoredTenant): Promise<void> {
  const timestamp = "2026-11-20T10:00:00.123456Z";
  const texts = { [marker]: marker };
  const span = (name: string, parent?: string): Span => ({
    timestamp,
    duration_ns: "1500000",
    trace_id: traceId,
    span_id: random().slice(16),
    ...(parent === undefined ? {} : { parent_span_id: parent }),
    name: `${name} ${marker}`,
    kind: "server",
    status: "error",
    service: marker,
    host: marker,
    attributes: texts,
    detail: { otlp: texts },
  });
  const root = span("root");
  const row = <T>(record: T, index: number) => ({ tenant, offset: 0, index, record });
  const id = { group: `group-${marker}`, topic: `topic-${marker}`, partition: 0 };
  const commit = partitionCommit(id, {
    next: positionAt(1, { incarnation: 1, mark: marker }),
    rows: {
      logs: [
        row(
          { timestamp, level: "WARN", message: marker, service: marker, host: marker, attributes: texts },
          0,
        ),
        row(
          {
            timestamp,
            level: marker.toUpperCase(),
            message: marker,
            attributes: {},
            detail: { otlp: texts },
          },
          1,
        ),
      ],
      metrics: [
        row({ timestamp, name: marker, value: 0.5, labels: { host: marker } }, 2),
        row(
          {
            timestamp,
            name: `h-${marker}`,
            value: null,
            labels: {},
            kind: "histogram",
            detail: { otlp: texts },
          },
          3,
        ),
        row({ timestamp, name: `nan-${marker}`, value: "NaN", labels: {}, kind: "gauge" }, 4),
      ],
      events: [
        row({ timestamp, event_type: marker, data: texts, id: marker, key: marker, attributes: texts }, 5),
        row({ timestamp, event_type: marker, data: null }, 6),
      ],
      traces: [row(root, 7), row(span("child", root.span_id), 8)],
    },
    deadLetters: [
      {
        tenant,
        offset: 0,
        index: -1,
        originalKey: btoa(marker),
        originalValue: btoa(marker),
        error: marker,
        errorType: "malformed_json",
        attempts: 1,
      },
    ],
    ledger: [ledgerEntry(tenant, { stored: 2 })],
    outbox: [{ id: marker, topic: `topic-${marker}.dlq`, key: btoa(marker), value: marker }],
    windows: windowOf(tenant, marker, Date.parse("2026-11-20T10:00:00.000Z")),
    committedAtMs: Date.parse(timestamp),
  });
  await createD1StreamStore(env.DB).commit(commit);
}

/** One value in one window of a series that has the marker for its name. */
function windowOf(tenant: string, marker: string, startMs: number): Partial<WindowChanges> {
  const labels = { host: marker };
  const series = seriesId(tenant, marker, labels);
  const partial = emptyPartial(0);
  fold(partial, { time: { ms: startMs, ns: 0 }, offset: 0, index: 2, value: { kind: "number", value: 0.5 } });
  const place = { tenant, name: marker, series, window: "5m", startMs };
  const state = encodePartial(partial);
  return {
    put: [{ ...place, endMs: startMs + 300_000, dueMs: null, revision: 1, state }],
    series: [{ tenant, name: marker, series, labels, day: Math.floor(startMs / 86_400_000) }],
  };
}
