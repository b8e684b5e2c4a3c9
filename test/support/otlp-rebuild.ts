// From the details of kept records back to the request they came in: what cannot be built again was lost.
import type { JsonObject, JsonValue } from "../../lib/telemetry/json-value.ts";
import type { OtlpSignal } from "../../lib/telemetry/otlp/request.ts";

/** OTLP/JSON of the request whose records have these details, in order. */
export function rebuild(signal: OtlpSignal, details: readonly JsonObject[]): JsonObject {
  const names = {
    logs: ["resourceLogs", "scopeLogs", "logRecords", "logRecord"],
    metrics: ["resourceMetrics", "scopeMetrics", "metrics", "metric"],
    traces: ["resourceSpans", "scopeSpans", "spans", "span"],
  } as const;
  const [resources, scopes, records, record] = names[signal];
  const tree = new Tree();
  for (const detail of details) {
    const { resource, resourceSchemaUrl, scope, scopeSchemaUrl, ...own } = detail.otlp as JsonObject;
    const inResource = tree.list(0, resources, { resource, schemaUrl: resourceSchemaUrl });
    const inScope = tree.list(1, scopes, { scope, schemaUrl: scopeSchemaUrl }, inResource);
    if (signal !== "metrics") {
      tree.push(inScope, records, own[record] as JsonValue);
      continue;
    }
    const { kind, aggregationTemporality, isMonotonic, ...described } = own.metric as {
      kind: string;
    } & JsonObject;
    const metric = tree.list(2, records, described, inScope, kind);
    const data = (metric[kind] ??= defined({ aggregationTemporality, isMonotonic })) as JsonObject;
    tree.push(data, "dataPoints", own.dataPoint as JsonValue);
  }
  return tree.root;
}

const defined = (object: Record<string, JsonValue | undefined>): JsonObject =>
  Object.fromEntries(
    Object.entries(object).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined),
  );

/** Neighbours with equal heads are one. */
class Tree {
  readonly root: JsonObject = {};
  #last: { head: string; node: JsonObject }[] = [];

  list(
    level: number,
    field: string,
    head: Record<string, JsonValue | undefined>,
    parent = this.root,
    kind = "",
  ): JsonObject {
    const key = kind + JSON.stringify(head);
    const last = this.#last[level];
    if (last?.head === key) return last.node;
    const node = defined(head);
    this.#last.length = level;
    this.#last[level] = { head: key, node };
    this.push(parent, field, node);
    return node;
  }

  push(parent: JsonObject, field: string, value: JsonValue): void {
    ((parent[field] ??= []) as JsonValue[]).push(value);
  }
}
