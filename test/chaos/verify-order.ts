// G6: the requests of a key lie in the log in the order in which they were accepted. Where a record lies twice, the first
// copy counts. Two may change places only when less than a lease lay between them and the earlier one was spilled.
import type { SentRequest } from "./lane.ts";
import type { LoggedMessage } from "./kafka-log.ts";

/**
 * What an isolate knows may be a lease old, and what the lease was made of a little more, which is a second at most
 * (lib/ingest/quota/lease.ts); half of one is for a machine that is busy with being killed.
 */
const ONSET_MS = 1_500;

export function checkOrder(
  requests: readonly SentRequest[],
  logs: readonly { topic: string; messages: readonly LoggedMessage[] }[],
  actAt: (ms: number) => string,
): { faults: string[]; swaps: number } {
  const requestOf = new Map<string, SentRequest>();
  for (const request of requests) {
    if (request.ackedMs === Infinity) continue;
    for (const id of request.ids) requestOf.set(id, request);
  }
  const faults: string[] = [];
  let swaps = 0;
  // Over all makings of a topic: what lay in the one before has its place there.
  const seen = new Set<string>();
  for (const { topic, messages } of logs) {
    if (!topic.endsWith(".raw")) continue;
    const strayed = inSeveralPartitions(messages);
    /** The requests of each key and partition, by their first message. */
    const lines = new Map<string, SentRequest[]>();
    for (const { partition, key, ids } of messages) {
      for (const id of ids) {
        const request = requestOf.get(id);
        if (!request || seen.has(id) || strayed.has(id)) continue;
        seen.add(id);
        // A key belongs to one lane; the lane is named for OTLP and JSON, which share no key.
        const name = `${topic}/${partition} ${key}`;
        const line = lines.get(name) ?? [];
        if (line.at(-1) !== request) line.push(request);
        lines.set(name, line);
      }
    }
    for (const [name, line] of lines) {
      const found = checkLine(name, line, actAt);
      faults.push(...found.faults);
      swaps += found.swaps;
    }
  }
  return { faults, swaps };
}

/**
 * Once a topic has grown, a key has another partition, and a copy of what was sent again lies there. Which of two
 * partitions had it first, the log does not tell.
 */
function inSeveralPartitions(messages: readonly LoggedMessage[]): Set<string> {
  const first = new Map<string, number>();
  const strayed = new Set<string>();
  for (const { partition, ids } of messages) {
    for (const id of ids) {
      const other = first.get(id) ?? partition;
      first.set(id, other);
      if (other !== partition) strayed.add(id);
    }
  }
  return strayed;
}

function checkLine(
  name: string,
  line: readonly SentRequest[],
  actAt: (ms: number) => string,
): { faults: string[]; swaps: number } {
  const faults: string[] = [];
  let swaps = 0;
  for (const [place, later] of line.entries()) {
    // Whoever lies behind it in the log, and was accepted before it was begun, was overtaken.
    for (const overtaken of line.slice(place + 1)) {
      if (overtaken.ackedMs >= later.startedMs) continue;
      const isOnset = overtaken.isSpilled && later.startedMs - overtaken.ackedMs < ONSET_MS;
      if (isOnset) swaps++;
      else
        faults.push(
          `${name}, ${actAt(later.startedMs)}: request ${later.number} lies before ${overtaken.number}, which was accepted ${Math.round(later.startedMs - overtaken.ackedMs)} ms earlier${overtaken.isSpilled ? " as spilled" : ""}${later.isSpilled ? "; it was spilled itself" : ""}`,
        );
    }
  }
  return { faults, swaps };
}
