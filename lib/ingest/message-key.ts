// The Kafka key of a record, and with it its partition and its order: KEY_STRATEGY says what it is made of.
import type { NativeRecord, NativeSignal, RecordOf, Signal } from "../telemetry/signal.ts";

export type KeyStrategy = "source" | "instance" | "type" | "tenant" | "random";

/** What a record tells of where it comes from. */
interface Origin {
  service: string;
  host: string;
  type: string;
  key: string | undefined;
}

const originOf: { [S in NativeSignal]: (record: RecordOf[S]) => Origin } = {
  logs: (log) => ({ service: log.service ?? "", host: log.host ?? "", type: log.level, key: undefined }),
  metrics: ({ labels, name }) => ({
    service: labels.service ?? labels.database_type ?? labels.job ?? "",
    host: labels.host ?? labels.instance_id ?? labels.instance ?? "",
    type: name,
    key: undefined,
  }),
  events: ({ data, attributes, event_type: type, key }) => ({
    service: textField(data, "service") ?? textField(attributes, "service") ?? "",
    host: textField(data, "host") ?? textField(attributes, "host") ?? "",
    type,
    key,
  }),
};

/**
 * @param random a fresh random text for the strategy `random`, the same for all records of a request
 * @returns the key; a key that the client gave wins over every strategy, and a record that does not say where it
 *   comes from is keyed by its tenant
 */
export function messageKey<S extends NativeSignal>(
  strategy: KeyStrategy,
  signal: S,
  record: RecordOf[S] & NativeRecord,
  tenant: string,
  random: string,
): string {
  const origin = originOf[signal](record);
  return origin.key ?? byStrategy(strategy, origin, tenant, random);
}

/** Whether the client chose the key, for the order it wants. */
export function isClientKey<S extends NativeSignal>(signal: S, record: RecordOf[S] & NativeRecord): boolean {
  return originOf[signal](record).key !== undefined;
}

/** Of an OTLP resource. Its message holds records of all kinds, so the strategy `type` goes by the signal. */
export function originKey(
  strategy: KeyStrategy,
  { service = "", host = "" }: { service: string | undefined; host: string | undefined },
  signal: Signal,
  tenant: string,
  random: string,
): string {
  return byStrategy(strategy, { service, host, type: signal, key: undefined }, tenant, random);
}

function byStrategy(
  strategy: KeyStrategy,
  { service, host, type }: Origin,
  tenant: string,
  random: string,
): string {
  switch (strategy) {
    case "source":
      return service === "" && host === "" ? tenant : `${service}:${host}`;
    case "instance":
      return host === "" ? tenant : host;
    case "type":
      return type;
    case "tenant":
      return tenant;
    case "random":
      return random;
  }
}

function textField(value: unknown, field: string): string | undefined {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, field)) return undefined;
  const found = (value as Record<string, unknown>)[field];
  return typeof found === "string" ? found : undefined;
}
