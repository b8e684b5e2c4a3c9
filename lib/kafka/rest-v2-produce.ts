// Reads what a v2 proxy answers to a produce: one entry per partition with the base offset of what was written there
// (Redpanda), or one entry per record in the request's order (all others), each an offset or an error, whatever the
// HTTP status. An offset that the answer does not tell is never made up: see rest-v2-locate.ts.
import { z } from "zod";
import { fromProtocolCode, KafkaError } from "./errors.ts";
import { fromHttpStatus, type RestAnswer } from "./rest-http.ts";
import type { ProduceOutcome, ProduceRecord } from "./transport.ts";

const entrySchema = z.object({
  partition: z.int().nullish(),
  offset: z.int().nullish(),
  error_code: z.int().nullish(),
  error: z.string().nullish(), // Karapace, Confluent
  message: z.string().nullish(), // Strimzi
});
type Entry = z.infer<typeof entrySchema>;

const produceAnswer = z.object({ offsets: z.array(entrySchema) });

/** `stored`: it was written, and the answer does not say where. */
export type RestV2Outcome = ProduceOutcome | { ok: "stored" };

/** @throws KafkaError when nothing is known of any record */
export function readProduceAnswer(
  answer: RestAnswer,
  records: readonly ProduceRecord[],
  what: string,
): RestV2Outcome[] {
  const parsed = produceAnswer.safeParse(answer.json);
  // Karapace: 422 as soon as one record fails, with the entries of all.
  if (answer.status !== 200 && !(answer.status === 422 && parsed.success)) throw fromHttpStatus(answer, what);
  if (!parsed.success) {
    throw new KafkaError("bad_answer", `${what}: HTTP ${answer.status} without a list of offsets`);
  }
  const { offsets } = parsed.data;
  const partitions = new Set(records.map((record) => record.partition));
  const named = new Map(offsets.map((entry) => [entry.partition, entry]));
  // Where both could be, each record has a partition of its own and both readings agree.
  const isPerPartition =
    offsets.length === partitions.size && [...partitions].every((partition) => named.has(partition));
  if (!isPerPartition && offsets.length !== records.length) {
    throw new KafkaError(
      "bad_answer",
      `${what}: ${offsets.length} offsets for ${records.length} records in ${partitions.size} partitions`,
    );
  }
  const written = new Map<number, number>();
  return records.map((record, i): RestV2Outcome => {
    const { partition } = record;
    const entry = (isPerPartition ? named.get(partition) : offsets[i]) ?? {};
    if (typeof entry.error_code === "number" && entry.error_code !== 0)
      return { ok: false, error: entryError(entry, `${what}, partition ${partition}`) };
    if (typeof entry.error === "string") {
      return { ok: false, error: new KafkaError("rejected", `${what}: ${entry.error.slice(0, 200)}`) };
    }
    if (typeof entry.offset !== "number" || entry.offset < 0) {
      // The library behind Karapace calls a message without a value false, and its answer is then 0 and -1.
      const isValueless = record.value === null || record.value.length === 0;
      if (isValueless && entry.offset === -1 && offsets.length === records.length) return { ok: "stored" };
      return { ok: false, error: unknownDurability(what) };
    }
    if (entry.partition !== partition) {
      return {
        ok: false,
        error: new KafkaError("bad_answer", `${what}: an offset in partition ${entry.partition}`),
      };
    }
    const before = isPerPartition ? (written.get(partition) ?? 0) : 0;
    written.set(partition, before + 1);
    return { ok: true, partition, offset: entry.offset + before };
  });
}

function unknownDurability(what: string): KafkaError {
  return new KafkaError(
    "bad_answer",
    `${what}: an offset is missing, durability unknown (does the proxy write with acks=0?)`,
  );
}

/**
 * Codes of entries: Redpanda passes on Kafka's own, without a text. With a text there are two more families: 1 (final)
 * and 2 (may pass) in Karapace and the v2 documentation, and HTTP statuses or five-digit codes in Strimzi and Confluent.
 */
function entryError(entry: Entry, what: string): KafkaError {
  const code = entry.error_code ?? 0;
  const text = entry.error ?? entry.message;
  if (text === null || text === undefined) return fromProtocolCode(code, what);
  const said = `${what}: error ${code} (${text.slice(0, 200)})`;
  // A wrong partition is code 2 in Karapace, a record too large 1 or 500: only the text tells.
  if (/does not exist|not present in metadata|does not host this topic/i.test(text))
    return new KafkaError("unknown_topic", said);
  if (/larger than|too large|maximum message size/i.test(text)) return new KafkaError("too_large", said);
  if (code === 1) return new KafkaError(/timed out|cancelled/i.test(text) ? "timeout" : "rejected", said);
  if (code === 2) return new KafkaError("unavailable", said);
  if (code < 400) return fromProtocolCode(code, what);
  const status = code < 600 ? code : Math.floor(code / 100);
  // 50002: Kafka refused it for good; 50003 and Strimzi's 500 may pass.
  if (code === 50002) return new KafkaError("rejected", said);
  const { code: kind } = fromHttpStatus({ status, headers: new Headers(), json: undefined }, what);
  return new KafkaError(kind, said);
}
