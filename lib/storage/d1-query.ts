// Queries on D1, over the tables of days.
import type { JsonObject } from "../telemetry/json-value.ts";
import type { D1, D1Value } from "./d1-database.ts";
import { overDays } from "./d1-days.ts";
import { d1DeadLetters } from "./d1-dead-letters.ts";
import { d1MetricNames } from "./d1-metric-names.ts";
import { pageOfDays, type Filter, type Pages, type RawRow } from "./d1-pages.ts";
import { countSpans, spansOfTrace, sumTraces } from "./d1-traces.ts";
import { d1WindowQuery } from "./d1-windows.ts";
import type {
  Found,
  PageKey,
  PageRequest,
  QueryStore,
  StoredMetric,
  StoredSpan,
  StoredTrace,
} from "./storage.ts";

export function createD1QueryStore(db: D1): QueryStore {
  const page = async (pages: Pages, request: PageRequest, filters: readonly Filter[]) =>
    await overDays(db, pages.kind, (days) => pageOfDays(db, days, pages, request, filters));

  return {
    async metrics(query) {
      const filters: Filter[] = [];
      if (query.name !== undefined) filters.push(is("name", query.name));
      for (const [label, value] of Object.entries(query.labels)) {
        filters.push(
          (param) =>
            `EXISTS (SELECT 1 FROM json_each(labels) AS l WHERE l.key = ${param(label)} AND l.value = ${param(value)})`,
        );
      }
      const rows = await page(
        {
          kind: "metrics",
          index: query.name === undefined ? undefined : "by_name",
          columns: "name, value, exact, labels, kind, detail",
        },
        query,
        filters,
      );
      return rows.map((row) =>
        found<StoredMetric>(row, {
          name: String(row.name),
          value: numberOf(row),
          labels: JSON.parse(String(row.labels)),
          ...(row.kind === null ? {} : { kind: String(row.kind) }),
          ...detailOf(row),
        }),
      );
    },

    async logs(query) {
      const { text, service, level } = query;
      const filters: Filter[] = [];
      if (service !== undefined) filters.push(is("service", service));
      if (level !== undefined) filters.push(is("level", level.toUpperCase()));
      if (text !== undefined) filters.push((param) => `instr(lower(message), lower(${param(text)})) > 0`);
      const rows = await page(
        {
          kind: "logs",
          index: service === undefined ? undefined : "by_service",
          columns: "level, service, host, message, attributes, detail",
        },
        query,
        filters,
      );
      return rows.map((row) =>
        found(row, {
          level: String(row.level),
          message: String(row.message),
          service: textOrNull(row.service),
          host: textOrNull(row.host),
          attributes: JSON.parse(String(row.attributes)),
          ...detailOf(row),
        }),
      );
    },

    async events(query) {
      const { eventType } = query;
      const rows = await page(
        {
          kind: "events",
          index: eventType === undefined ? undefined : "by_type",
          columns: "event_type, id, key, data, attributes",
        },
        query,
        eventType === undefined ? [] : [is("event_type", eventType)],
      );
      return rows.map((row) =>
        found(row, {
          event_type: String(row.event_type),
          data: JSON.parse(String(row.data)),
          id: textOrNull(row.id),
          key: textOrNull(row.key),
          attributes: row.attributes === null ? null : JSON.parse(String(row.attributes)),
        }),
      );
    },

    async traces(query) {
      const { tenant, service, name, status, minDuration } = query;
      const filters: Filter[] = [() => "parent_span_id IS NULL"];
      if (service !== undefined) filters.push(is("service", service));
      if (name !== undefined) filters.push(is("name", name));
      if (status !== undefined) filters.push(is("status", status));
      if (minDuration !== undefined) filters.push((param) => `duration >= ${param(minDuration)}`);
      return await overDays(db, "spans", async (days) => {
        const rows = await pageOfDays(
          db,
          days,
          { kind: "spans", index: "at_root", columns: "trace_id, name, service, status, duration" },
          query,
          filters,
        );
        const sums = await sumTraces(
          db,
          days,
          tenant,
          rows.map((row) => String(row.trace_id)),
        );
        return rows.map((row) => {
          const sum = sums.get(String(row.trace_id));
          return found<StoredTrace>(row, {
            trace_id: String(row.trace_id),
            name: String(row.name),
            service: textOrNull(row.service),
            status: String(row.status),
            duration_ms: Number(row.duration) / 1e6,
            span_count: sum?.spans ?? 0,
            error_count: sum?.errors ?? 0,
            services: [...(sum?.services ?? [])],
          });
        });
      });
    },

    async spans(tenant, traceId, limit) {
      const rows = await overDays(db, "spans", (days) => spansOfTrace(db, days, tenant, traceId, limit));
      return rows.map((row) =>
        found<StoredSpan>(row, {
          trace_id: String(row.trace_id),
          span_id: String(row.span_id),
          parent_span_id: textOrNull(row.parent_span_id),
          name: String(row.name),
          kind: String(row.kind),
          status: String(row.status),
          service: textOrNull(row.service),
          host: textOrNull(row.host),
          duration_ms: Number(row.duration) / 1e6,
          attributes: JSON.parse(String(row.attributes)),
          detail: JSON.parse(String(row.detail)),
        }),
      );
    },

    async spanCount(tenant, traceId) {
      return await overDays(db, "spans", (days) => countSpans(db, days, tenant, traceId));
    },

    ...d1MetricNames(db),
    ...d1WindowQuery(db),
    ...d1DeadLetters(db),
  };
}

const is =
  (column: string, value: string): Filter =>
  (param) =>
    `${column} = ${param(value)}`;

/** A number, also where SQLite's own is off by a bit; a text that is none; null. */
function numberOf({ value, exact }: RawRow): number | string | null {
  if (exact === null || exact === undefined) return value === null ? null : Number(value);
  const number = Number(exact);
  return Number.isFinite(number) ? number : String(exact);
}

function detailOf({ detail }: RawRow): { detail?: JsonObject } {
  return detail === null || detail === undefined ? {} : { detail: JSON.parse(String(detail)) };
}

function textOrNull(value: D1Value | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

function found<T>(row: RawRow, record: T): Found<T> {
  const key: PageKey = {
    time: String(row.time),
    source: Number(row.source),
    partition: Number(row.partition),
    offset: Number(row.offset),
    idx: Number(row.idx),
  };
  return { key, record };
}
