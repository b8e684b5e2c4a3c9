// Records whose raw rows are kept no more: neither stored nor in windows, but told, once, in a topic of their own.
import { MAX_MESSAGE_VALUE_BYTES } from "../telemetry/limits.ts";
import { utf8Bytes } from "../telemetry/text.ts";
import type { OutboxEntry, PartitionId, Position } from "../storage/storage.ts";
import { DAY_MS } from "../windows/definition.ts";
import type { AnyRow } from "./decode.ts";
import { arraysOf } from "./results.ts";

export interface LatePlace extends PartitionId {
  position: Position;
  lateTopic: string;
  nowMs: number;
}

/** The least timestamp of a day and after, as a text that timestamps of records compare with; their `Z` aside. */
export function textOfMs(ms: number): string {
  const isWritten = ms >= FIRST_MS && ms <= LAST_MS;
  if (isWritten) return new Date(ms).toISOString().slice(0, -1);
  return ms < FIRST_MS ? "" : "~";
}

/** Years that are written with four digits. */
const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

export const textOfDay = (day: number): string => textOfMs(day * DAY_MS);

/** Rows of the outbox, each a JSON array of records of one tenant with the place they came from. */
export function lateEntries(rows: readonly AnyRow[], place: LatePlace): OutboxEntry[] {
  const { group, topic, partition, position, lateTopic, nowMs } = place;
  const [first] = rows;
  if (!first) return [];
  const where = `${group}/${position.epoch}/${topic}/${position.incarnation}/${partition}`;
  const late_at = new Date(nowMs).toISOString();
  const texts = rows.map(({ tenant, offset, index, record }) => {
    const id = `${where}/${offset}/${index}`;
    const form = { id, tenant, topic, partition, offset, index, group, late_at, record };
    const text = JSON.stringify(form);
    if (utf8Bytes(text) < MAX_MESSAGE_VALUE_BYTES - 2) return { tenant, text };
    return { tenant, text: JSON.stringify({ ...form, record: null, error: "too large for this topic" }) };
  });
  // A record is late once, so no other commit begins with the same.
  return arraysOf(texts, `${where}/late/${first.offset}/${first.index}`, lateTopic);
}
