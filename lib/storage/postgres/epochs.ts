// What a reader of a later epoch asks of those before it.
import { groupOfReader } from "../groups.ts";
import type { EpochsBefore, PartitionSource } from "../storage.ts";
import type { PostgresConnections } from "./connections.ts";
import { storedText } from "./text.ts";

/** An epoch has a row where none of its letters is there. */
const BEFORE = `SELECT s.epoch, s.visible_until_ms, d."offset", d.idx FROM sources AS s LEFT JOIN dead_letters AS d
    ON d.source = s.id AND d.partition = $5::integer AND d."offset" >= $6::bigint AND d."offset" < $7::bigint
      AND d.group_id = CASE s.epoch WHEN 0 THEN $4::text ELSE $4::text || '@' || s.epoch END
  WHERE s.topic = $1 AND s.incarnation = $2::bigint AND s.epoch <> $3::bigint AND s.is_visible`;

export async function epochsBefore(
  connections: PostgresConnections,
  { group, topic, partition, incarnation, epoch }: PartitionSource,
  fromOffset: number,
  toOffset: number,
): Promise<EpochsBefore> {
  const name = storedText(groupOfReader(group, epoch));
  const values = [storedText(topic), incarnation, epoch, name, partition, fromOffset, toOffset];
  const rows = await connections.read("reading the epochs before", BEFORE, values);
  const epochs = new Map<number, number | null>();
  const dead: EpochsBefore["dead"] = [];
  for (const { epoch: one, visible_until_ms: until, offset, idx } of rows) {
    epochs.set(Number(one), until === null ? null : Number(until));
    if (offset !== null) dead.push({ epoch: Number(one), offset: Number(offset), index: Number(idx) });
  }
  return { epochs: [...epochs].map(([one, untilMs]) => ({ epoch: one, untilMs })), dead };
}
