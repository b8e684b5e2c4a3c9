// Records that come one by one (JSON, CloudEvents, remote write), on their way to messages: each is checked, its time
// corrected, scrubbed, held to the limit on series, keyed, and packed into an envelope with those of the same key.
import type { DecodedBody } from "../telemetry/native.ts";
import type { Metric } from "../telemetry/metric.ts";
import { packEnvelopes, type Entry } from "../telemetry/envelope.ts";
import type { ValidationContext } from "../telemetry/record.ts";
import type { Rejection } from "../telemetry/result.ts";
import { validateRecord, type NativeRecord, type NativeSignal } from "../telemetry/signal.ts";
import { foldMetric, seriesOf } from "./cardinality/series.ts";
import { shiftRecord } from "./clock-skew.ts";
import { isClientKey, messageKey } from "./message-key.ts";
import type { EdgeCounts, EdgeRules, IntakeRequest, KeyedMessage, Prepared } from "./prepared.ts";

export interface RecordsBody extends DecodedBody {
  signal: NativeSignal;
  /** Made by a decoder of ours: the kept form, which may say more than the JSON forms. */
  isKept?: boolean;
}

export async function prepareRecords(
  request: IntakeRequest,
  body: RecordsBody,
  rules: EdgeRules,
): Promise<Prepared> {
  const rejections = new Map<number, Rejection>();
  const counts: EdgeCounts = {
    scrubbed: rules.scrubber?.newCounts() ?? [],
    seriesOver: 0,
    seriesUnasked: 0,
  };
  const entries = checkRecords(request, body, rules, rejections, counts);
  if (body.signal === "metrics") await limitSeries(request, entries, rules, counts);
  const messages = pack(request, body, entries, rules, rejections);
  return { rejections, records: body.records.length, messages, counts };
}

interface Checked extends Entry {
  record: NativeRecord;
  /** Made before labels may be folded: points of one source stay together, and folded ones do not all meet. */
  key: string;
  isClientKey: boolean;
}

function checkRecords(
  { tenant, receivedMs, skewMs }: IntakeRequest,
  { signal, records, isKept = false }: RecordsBody,
  { scrubber, keyStrategy }: EdgeRules,
  rejections: Map<number, Rejection>,
  counts: EdgeCounts,
): Checked[] {
  const context: ValidationContext = { receivedMs, enforceTimeRange: true, isKept };
  const random = keyStrategy === "random" ? crypto.randomUUID() : "";
  const entries: Checked[] = [];
  records.forEach((read, index) => {
    const checked = read.ok ? validateRecord(signal, shiftRecord(read.value, skewMs), context) : read;
    if (!checked.ok) {
      rejections.set(index, checked.error);
      return;
    }
    const record = checked.value;
    scrubber?.scrubRecord(signal, record, counts.scrubbed);
    const key = messageKey(keyStrategy, signal, record, tenant, random);
    entries.push({ index, record, key, isClientKey: isClientKey(signal, record) });
  });
  return entries;
}

async function limitSeries(
  { tenant }: IntakeRequest,
  entries: readonly Checked[],
  { series: { limiter, directories, options } }: EdgeRules,
  counts: EdgeCounts,
): Promise<void> {
  if (options.mode === "off") return;
  const metrics = entries.map(({ record }) => record as Metric);
  const { folds, over, unasked } = await limiter.admit(tenant, metrics.map(seriesOf), directories, options);
  counts.seriesOver = over;
  counts.seriesUnasked = unasked;
  for (const [place, fold] of folds) foldMetric(metrics[place] as Metric, fold);
}

function pack(
  { tenant, batch, attempt, receivedMs, bodyBytes, partitions }: IntakeRequest,
  { signal, agentVersion }: RecordsBody,
  entries: readonly Checked[],
  { hotKeys }: EdgeRules,
  rejections: Map<number, Rejection>,
): KeyedMessage[] {
  const load = { records: 1, bytes: entries.length === 0 ? 0 : bodyBytes / entries.length };
  const groups = new Map<string, Entry[]>();
  for (const { index, record, key: own, isClientKey } of entries) {
    const key =
      hotKeys === undefined || isClientKey
        ? own
        : hotKeys.keyFor(own, { tenant, batch, index }, load, partitions, receivedMs);
    const group = groups.get(key);
    if (group) group.push({ index, record });
    else groups.set(key, [{ index, record }]);
  }
  const header = {
    tenant,
    signal,
    batch,
    attempt,
    received: new Date(receivedMs).toISOString(),
    agentVersion,
  };
  const messages: KeyedMessage[] = [];
  for (const [key, group] of groups) {
    const { envelopes, oversize } = packEnvelopes(header, group);
    for (const { value, indices } of envelopes) messages.push({ key, value, indices });
    for (const { index, error } of oversize) rejections.set(index, error);
  }
  return messages;
}
