// Queries on the store in memory: look at every row, sort, cut.
import { Buffer } from "node:buffer";
import { formatMoment, nanosToMoment } from "../telemetry/time.ts";
import type { Signal } from "../telemetry/signal.ts";
import type { Span } from "../telemetry/span.ts";
import type { MemoryDeadLetter, MemoryRow, MemoryTables } from "./memory-tables.ts";
import type {
  Found,
  PageKey,
  PageRequest,
  QueryStore,
  StoredMetricName,
  StoredSpan,
  StoredTrace,
} from "./storage.ts";

/** As the interface tells it. */
const MAX_SUMMED_SPANS = 1_000;
const MAX_TRACE_CHARS = 8_000_000;

export function createMemoryQueryStore(tables: MemoryTables): QueryStore {
  /** A further epoch is built unseen, beside the first. */
  const isSeen = (source: number) => tables.sources.some(({ id, epoch }) => id === source && epoch === 0);

  const seen = <S extends Signal>(signal: S) => {
    const shown = new Set(tables.sources.filter(({ id }) => isSeen(id)).map(({ id }) => id));
    return [...tables.rows[signal].values()].filter(({ key }) => shown.has(key.source));
  };

  function page<S extends Signal, T>(
    signal: S,
    { tenant, from, to, after, limit }: PageRequest,
    isWanted: (record: MemoryRow<S>["record"]) => boolean,
    told: (record: MemoryRow<S>["record"]) => T,
  ): Found<T>[] {
    return seen(signal)
      .filter(
        ({ tenant: owner, key, record }) =>
          owner === tenant &&
          (from === undefined || BigInt(key.time) >= BigInt(from)) &&
          (to === undefined || BigInt(key.time) < BigInt(to)) &&
          (after === undefined || byPlace(key, after) < 0) &&
          isWanted(record),
      )
      .toSorted((a, b) => byPlace(b.key, a.key))
      .slice(0, limit)
      .map(({ key, record }) => ({ key: { ...key }, record: structuredClone(told(record)) }));
  }

  const ofTrace = (tenant: string, traceId: string) =>
    seen("traces")
      .filter((row) => row.tenant === tenant && row.record.trace_id === traceId)
      .toSorted((a, b) => byPlace(a.key, b.key));

  return {
    async windows(query) {
      return tables.windows.query(query, ({ epoch }) => epoch === 0);
    },

    async metrics({ name, labels, ...request }) {
      return page(
        "metrics",
        request,
        (metric) =>
          (name === undefined || metric.name === name) &&
          Object.entries(labels).every(
            ([label, value]) => Object.hasOwn(metric.labels, label) && metric.labels[label] === value,
          ),
        ({ name: told, value, labels: all, kind, detail }) => ({
          name: told,
          value,
          labels: all,
          ...(kind === undefined ? {} : { kind }),
          ...(detail === undefined ? {} : { detail }),
        }),
      );
    },

    async logs({ text, service, level, ...request }) {
      const wanted = text?.toLowerCase();
      return page(
        "logs",
        request,
        (log) =>
          (service === undefined || log.service === service) &&
          (level === undefined || log.level === level.toUpperCase()) &&
          (wanted === undefined || log.message.toLowerCase().includes(wanted)),
        (log) => ({
          level: log.level,
          message: log.message,
          service: log.service ?? null,
          host: log.host ?? null,
          attributes: log.attributes,
          ...(log.detail === undefined ? {} : { detail: log.detail }),
        }),
      );
    },

    async events({ eventType, ...request }) {
      return page(
        "events",
        request,
        (event) => eventType === undefined || event.event_type === eventType,
        ({ event_type, data, id, key, attributes }) => ({
          event_type,
          data,
          id: id ?? null,
          key: key ?? null,
          attributes: attributes ?? null,
        }),
      );
    },

    async traces({ service, name, status, minDuration, ...request }) {
      return page(
        "traces",
        request,
        (span) =>
          span.parent_span_id === undefined &&
          (service === undefined || span.service === service) &&
          (name === undefined || span.name === name) &&
          (status === undefined || span.status === status) &&
          (minDuration === undefined || BigInt(span.duration_ns) >= BigInt(minDuration)),
        (root): StoredTrace => {
          const spans = ofTrace(request.tenant, root.trace_id)
            .slice(0, MAX_SUMMED_SPANS)
            .map(({ record }) => record);
          return {
            trace_id: root.trace_id,
            name: root.name,
            service: root.service ?? null,
            status: root.status,
            duration_ms: Number(root.duration_ns) / 1e6,
            span_count: spans.length,
            error_count: spans.filter((span) => span.status === "error").length,
            services: [...new Set(spans.flatMap((span) => span.service ?? []))],
          };
        },
      );
    },

    async spans(tenant, traceId, limit) {
      const found: Found<StoredSpan>[] = [];
      let chars = 0;
      for (const { key, record } of ofTrace(tenant, traceId).slice(0, limit)) {
        chars += JSON.stringify(record.attributes).length + JSON.stringify(record.detail).length;
        if (chars > MAX_TRACE_CHARS) break;
        found.push({ key: { ...key }, record: structuredClone(storedSpan(record)) });
      }
      return found;
    },

    async spanCount(tenant, traceId) {
      return ofTrace(tenant, traceId).length;
    },

    async metricNames({ tenant, prefix, after, limit }) {
      const newest = new Map<string, MemoryRow<"metrics">>();
      for (const row of seen("metrics")) {
        const { name } = row.record;
        if (row.tenant !== tenant || !name.startsWith(prefix) || byCodePoints(name, after) <= 0) continue;
        const known = newest.get(name);
        if (!known || byPlace(row.key, known.key) > 0) newest.set(name, row);
      }
      return [...newest.values()]
        .toSorted((a, b) => byCodePoints(a.record.name, b.record.name))
        .slice(0, limit)
        .map(({ key, record }): StoredMetricName => ({
          name: record.name,
          kind: record.kind ?? null,
          last_timestamp: formatMoment(nanosToMoment(key.time)),
        }));
    },

    async deadLetters({ tenant, topic, errorType, limit, after }) {
      const own = [...tables.deadLetters.values()]
        .filter(({ source, letter }) => isSeen(source) && (tenant === undefined || letter.tenant === tenant))
        .toSorted((a, b) => byDeath(b, a))
        .map(({ letter }) => letter);
      const start = after === undefined ? 0 : own.findIndex(({ id }) => id === after) + 1;
      if (after !== undefined && start === 0) return [];
      return own
        .slice(start)
        .filter(
          (letter) =>
            (topic === undefined || letter.topic === topic) &&
            (errorType === undefined || letter.errorType === errorType),
        )
        .slice(0, limit)
        .map((letter) => {
          const { originalValue: _, ...listed } = letter;
          return listed;
        });
    },

    async deadLetter(id, tenant) {
      const all = [...tables.deadLetters.values()].filter(({ source }) => isSeen(source));
      const found = all.find(({ letter }) => letter.id === id)?.letter;
      return found && (tenant === undefined || found.tenant === tenant) ? { ...found } : undefined;
    },
  };
}

function storedSpan(stored: Span): StoredSpan {
  const { timestamp: _, duration_ns, parent_span_id, service, host, ...span } = stored;
  return {
    ...span,
    parent_span_id: parent_span_id ?? null,
    service: service ?? null,
    host: host ?? null,
    duration_ms: Number(duration_ns) / 1e6,
  };
}

function byPlace(a: PageKey, b: PageKey): number {
  const times = BigInt(a.time) - BigInt(b.time);
  if (times !== 0n) return times < 0n ? -1 : 1;
  return a.source - b.source || a.partition - b.partition || a.offset - b.offset || a.idx - b.idx;
}

function byDeath(a: MemoryDeadLetter, b: MemoryDeadLetter): number {
  if (a.letter.deadAt !== b.letter.deadAt) return a.letter.deadAt < b.letter.deadAt ? -1 : 1;
  return (
    a.source - b.source ||
    a.letter.partition - b.letter.partition ||
    a.letter.offset - b.letter.offset ||
    a.letter.index - b.letter.index
  );
}

/** The order of code points is that of UTF-8's bytes, and not JavaScript's own of UTF-16. */
const byCodePoints = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
