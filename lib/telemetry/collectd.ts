// What collectd's write_http sends as JSON (collectd.conf(5), "Plugin write_http", Format JSON): value lists, one of which
// may hold several values. Each value becomes one metric, named as collectd's own write_prometheus names it.
import { isPlainObject } from "./record.ts";

/** Data source types whose names end in `_total`, as write_prometheus writes them. */
const TOTALS = new Set<unknown>(["counter", "derive"]);

/** An array's value lists as the inputs of `validateMetric`, anything else in it as it is; ends above `max` of them. */
export function fromCollectd(items: readonly unknown[], max: number): unknown[] {
  const records: unknown[] = [];
  for (const item of items) {
    if (records.length > max) break;
    records.push(...fromItem(item, max));
  }
  return records;
}

function fromItem(item: unknown, max: number): unknown[] {
  if (!isPlainObject(item)) return [item];
  const {
    values,
    dsnames,
    plugin,
    plugin_instance: pluginInstance,
    type,
    type_instance: typeInstance,
  } = item;
  const { host, time } = item;
  if (!Array.isArray(values) || !Array.isArray(dsnames) || values.length !== dsnames.length) return [item];
  if (!dsnames.every((name) => typeof name === "string")) return [item];
  const types: unknown[] = Array.isArray(item.dstypes) ? item.dstypes : [];
  if (typeof plugin !== "string" || typeof type !== "string") return [item];
  const base = plugin === type ? `collectd_${plugin}` : `collectd_${plugin}_${type}`;
  const labels: Record<string, unknown> = {};
  for (const [name, value] of Object.entries({
    host,
    plugin_instance: pluginInstance,
    type_instance: typeInstance,
  })) {
    if (value !== undefined && value !== "") labels[name] = value;
  }
  // One more than may be, so that it is seen.
  return values.slice(0, max + 1).map((value: unknown, i) => {
    const source = dsnames[i];
    const isTotal = TOTALS.has(types[i]);
    const name = `${base}${source === "value" ? "" : `_${source}`}${isTotal ? "_total" : ""}`;
    return { name, value, labels, timestamp: time };
  });
}
