// Scrubs an OTLP request in place. Its paths: `resource.<key>`, `scope.<key>`, `attributes.<key>` (of log records, data
// points, spans, their events, links and exemplars), `body`, and single texts by their OTLP names. A rule written for the
// JSON forms (`message`, `labels.<key>`, `service`, `host`) means the same thing here. Bytes are changed only as a whole.
import { create } from "@bufbuild/protobuf";
import {
  AnyValueSchema,
  type AnyValue,
  type InstrumentationScope,
  type KeyValue,
} from "../../telemetry/gen/opentelemetry/proto/common/v1/common_pb.ts";
import type { LogRecord } from "../../telemetry/gen/opentelemetry/proto/logs/v1/logs_pb.ts";
import type { Metric } from "../../telemetry/gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import type { Resource } from "../../telemetry/gen/opentelemetry/proto/resource/v1/resource_pb.ts";
import type { Span } from "../../telemetry/gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import { MAX_LABEL_VALUE_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES } from "../../telemetry/limits.ts";
import type { OtlpRequest } from "../../telemetry/otlp/request.ts";
import type { Signal } from "../../telemetry/signal.ts";
import { Reach } from "./reach.ts";
import { MASKED, type Replacer, type ScrubCounts } from "./replace.ts";
import type { ScrubRule } from "./rules.ts";
import type { Scrubber } from "./scrubber.ts";

/** @param counts of {@link Scrubber.newCounts} */
export function scrubOtlp(scrubber: Scrubber, { signal, message }: OtlpRequest, counts: ScrubCounts): void {
  const root = scrubber.root(signal);
  if (root.isIdle) return;
  const walk = new OtlpScrub(scrubber.replacer, root, counts, signal);
  switch (signal) {
    case "logs":
      for (const group of message.resourceLogs) {
        walk.resource(group);
        for (const part of group.scopeLogs) {
          walk.scope(part);
          for (const log of part.logRecords) walk.log(log);
        }
      }
      return;
    case "metrics":
      for (const group of message.resourceMetrics) {
        walk.resource(group);
        for (const part of group.scopeMetrics) {
          walk.scope(part);
          for (const metric of part.metrics) walk.metric(metric);
        }
      }
      return;
    case "traces":
      for (const group of message.resourceSpans) {
        walk.resource(group);
        for (const part of group.scopeSpans) {
          walk.scope(part);
          for (const span of part.spans) walk.span(span);
        }
      }
  }
}

class OtlpScrub {
  readonly #replacer: Replacer;
  readonly #counts: ScrubCounts;
  readonly #root: Reach;
  readonly #resource: Reach;
  readonly #scope: Reach;
  readonly #attributes: Reach;
  readonly #body: Reach;
  /** Of an attribute's text: where attributes become labels they have a limit. */
  readonly #maxBytes: number | undefined;

  constructor(replacer: Replacer, root: Reach, counts: ScrubCounts, signal: Signal) {
    this.#maxBytes = signal === "metrics" ? MAX_LABEL_VALUE_BYTES : undefined;
    this.#replacer = replacer;
    this.#counts = counts;
    this.#root = root;
    this.#resource = root.down("resource").kept();
    this.#scope = root.down("scope").kept();
    this.#attributes = Reach.either(root.down("attributes"), root.down("labels")).kept();
    this.#body = Reach.either(root.down("body"), root.down("message"));
  }

  resource(group: { resource?: Resource | undefined; schemaUrl: string }): void {
    group.schemaUrl = this.#field(group.schemaUrl, "schema_url");
    const { resource } = group;
    if (!resource) return;
    resource.attributes = this.#entries(resource.attributes, this.#resource, (key) => {
      if (key === "service.name") return this.#root.down("service");
      return key === "host.name" ? this.#root.down("host") : undefined;
    });
  }

  scope(part: { scope?: InstrumentationScope | undefined; schemaUrl: string }): void {
    part.schemaUrl = this.#field(part.schemaUrl, "schema_url");
    const { scope } = part;
    if (!scope) return;
    scope.name = this.#text(scope.name, this.#scope.down("name").forText) ?? "";
    scope.version = this.#text(scope.version, this.#scope.down("version").forText) ?? "";
    scope.attributes = this.#entries(scope.attributes, this.#scope);
  }

  log(log: LogRecord): void {
    log.severityText = this.#field(log.severityText, "severity_text", "level");
    log.eventName = this.#field(log.eventName, "event_name");
    log.attributes = this.#entries(log.attributes, this.#attributes);
    const body = log.body && this.#value(log.body, this.#body, MAX_MESSAGE_BYTES);
    if (body) log.body = body;
    else delete log.body;
  }

  metric(metric: Metric): void {
    // Without a name it would be no metric.
    metric.name = this.#text(metric.name, this.#root.down("name").forText, MAX_NAME_BYTES) ?? MASKED;
    metric.description = this.#field(metric.description, "description");
    metric.unit = this.#field(metric.unit, "unit");
    metric.metadata = this.#entries(metric.metadata, this.#root.down("metadata").kept());
    for (const point of metric.data.value?.dataPoints ?? []) {
      point.attributes = this.#entries(point.attributes, this.#attributes);
      if (!("exemplars" in point)) continue;
      for (const exemplar of point.exemplars) {
        exemplar.filteredAttributes = this.#entries(exemplar.filteredAttributes, this.#attributes);
      }
    }
  }

  span(span: Span): void {
    span.name = this.#field(span.name, "name");
    span.traceState = this.#traceState(span.traceState);
    span.attributes = this.#entries(span.attributes, this.#attributes);
    for (const event of span.events) {
      event.name = this.#field(event.name, "event_name");
      event.attributes = this.#entries(event.attributes, this.#attributes);
    }
    for (const link of span.links) {
      link.traceState = this.#traceState(link.traceState);
      link.attributes = this.#entries(link.attributes, this.#attributes);
    }
    if (span.status) span.status.message = this.#field(span.status.message, "status_message");
  }

  /** A list with a marker in it would be none (W3C Trace Context, 3.3.1). */
  #traceState(text: string): string {
    return this.#field(text, "trace_state") === text ? text : "";
  }

  #field(text: string, ...names: readonly [string, ...string[]]): string {
    if (text === "") return text;
    const [first, ...others] = names.map((name) => this.#root.down(name)) as [Reach, ...Reach[]];
    return this.#text(text, Reach.either(first, ...others).forText) ?? "";
  }

  #text(text: string, rules: readonly ScrubRule[], maxBytes?: number): string | undefined {
    return this.#replacer.scrub(text, rules, this.#counts, maxBytes);
  }

  #entries(entries: KeyValue[], reach: Reach, otherName?: (key: string) => Reach | undefined): KeyValue[] {
    if (entries.length === 0 || (reach.isIdle && !otherName)) return entries;
    const maxBytes = otherName ? MAX_LABEL_VALUE_BYTES : this.#maxBytes;
    const next = new Map<string, number>();
    const keys = new Set(reach.covering.length === 0 ? [] : entries.map(({ key }) => key));
    return entries.filter((entry) => {
      const other = otherName?.(entry.key);
      const place = reach.down(entry.key);
      if (entry.value) {
        const left = this.#value(entry.value, other ? Reach.either(place, other) : place, maxBytes);
        if (!left) return false;
        entry.value = left;
      }
      const key = this.#text(entry.key, reach.covering, this.#maxBytes && MAX_NAME_BYTES);
      if (key === undefined) return false;
      if (key !== entry.key) entry.key = freeKey(keys, key, next);
      return true;
    });
  }

  /** @returns undefined where the value is to go */
  #value(any: AnyValue, reach: Reach, maxBytes?: number): AnyValue | undefined {
    if (reach.isIdle) return any;
    const held = any.value;
    switch (held.case) {
      case undefined:
      case "stringValueStrindex":
        return any;
      case "stringValue": {
        const left = this.#text(held.value, reach.forText, maxBytes);
        if (left === undefined) return undefined;
        held.value = left;
        return any;
      }
      case "boolValue":
      case "intValue":
      case "doubleValue":
        return this.#instead(any, String(held.value), reach.forScalar);
      case "bytesValue":
        return this.#instead(any, held.value.join(), reach.whole);
      case "arrayValue": {
        const { values } = held.value;
        const [whole] = reach.whole;
        if (whole) return this.#instead(any, spell(any), [whole]);
        held.value.values = values.flatMap((value, i) => this.#value(value, reach.down(String(i))) ?? []);
        return any;
      }
      case "kvlistValue": {
        const [whole] = reach.whole;
        if (whole) return this.#instead(any, spell(any), [whole]);
        held.value.values = this.#entries(held.value.values, reach);
        return any;
      }
    }
  }

  /** A value that is no text gives way to one where a rule changes it. */
  #instead(any: AnyValue, text: string, rules: readonly ScrubRule[]): AnyValue | undefined {
    const left = this.#text(text, rules);
    if (left === undefined) return undefined;
    return left === text ? any : create(AnyValueSchema, { value: { case: "stringValue", value: left } });
  }
}

/** A text that is the same for the same value; a hash is all that comes of it. */
function spell(any: AnyValue): string {
  const held = any.value;
  switch (held.case) {
    case "arrayValue":
      return `[${held.value.values.map(spell).join()}]`;
    case "kvlistValue":
      return `{${held.value.values.map(({ key, value }) => `${JSON.stringify(key)}:${value ? spell(value) : "null"}`).join()}}`;
    case "stringValue":
      return JSON.stringify(held.value);
    default:
      return String(held.value);
  }
}

/** @param next the number to try first for each text: thousands of keys may become one */
function freeKey(keys: Set<string>, key: string, next: Map<string, number>): string {
  let free = key;
  let n = next.get(key) ?? 2;
  for (; keys.has(free); n++) free = `${key}~${n}`;
  next.set(key, n);
  keys.add(free);
  return free;
}
