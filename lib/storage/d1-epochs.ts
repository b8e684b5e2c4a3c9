// What a reader of a later epoch asks of those before it, on D1.
import { withDeadline, type D1, type D1Value } from "./d1-database.ts";
import { groupOfReader } from "./groups.ts";
import type { EpochsBefore, PartitionSource } from "./storage.ts";

/** An epoch has a row where none of its letters is there. */
const BEFORE = `SELECT s.epoch, s.visible_until_ms, d.offset, d.idx FROM sources AS s LEFT JOIN dead_letters AS d
    ON d.source = s.id AND d.partition = ?5 AND d.offset >= ?6 AND d.offset < ?7
      AND d.group_id = iif(s.epoch = 0, ?4, ?4 || '@' || s.epoch)
  WHERE s.topic = ?1 AND s.incarnation = ?2 AND s.epoch <> ?3 AND s.is_visible = 1`;

export async function epochsBefore(
  db: D1,
  { group, topic, partition, incarnation, epoch }: PartitionSource,
  fromOffset: number,
  toOffset: number,
): Promise<EpochsBefore> {
  const values: D1Value[] = [topic, incarnation, epoch, groupOfReader(group, epoch), partition];
  const { results } = await withDeadline("reading the epochs before", () =>
    db
      .prepare(BEFORE)
      .bind(...values, fromOffset, toOffset)
      .all(),
  );
  const epochs = new Map<number, number | null>();
  const dead: EpochsBefore["dead"] = [];
  for (const { epoch: one, visible_until_ms: until, offset, idx } of results) {
    epochs.set(Number(one), until === null ? null : Number(until));
    if (offset !== null) dead.push({ epoch: Number(one), offset: Number(offset), index: Number(idx) });
  }
  return { epochs: [...epochs].map(([one, untilMs]) => ({ epoch: one, untilMs })), dead };
}
