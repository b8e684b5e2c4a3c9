// What is not as usual between the edge and storage, in words for somebody who sees it for the first time: what happens,
// what is safe, what to do. Empty while all is well. Pure.
import { formatAge, formatNumberOf } from "./format.ts";
import type { KafkaStatus, Spill } from "./shapes.ts";

export interface Notice {
  /** The same for as long as the trouble is the same, whatever its figures. */
  id: string;
  tone: "info" | "warn";
  title: string;
  text: string;
  /** What else is known, a sentence each. */
  details: string[];
}

export function noticesOf(status: KafkaStatus): Notice[] {
  const way = wayToKafka(status);
  return [...(way ? [way] : []), ...status.tripped.map(trippedNotice)];
}

/** Whether records go to Kafka; undefined: they do, and nothing is kept back. */
function wayToKafka({ breaker, producer, error, spill }: KafkaStatus): Notice | undefined {
  const details = [
    ...(error === "" ? [] : [`What Kafka's side says: ${error}`]),
    ...(spill.refused > 0
      ? [
          `Kafka refuses ${formatNumberOf(spill.refused, "message")} as they are; these stay here. POST /kafka/flush tells why.`,
        ]
      : []),
    ...(spill.error === "" ? [] : [`Not all of what is kept could be counted: ${spill.error}`]),
  ];
  const warn = (id: string, title: string, text: string): Notice => ({
    id,
    tone: "warn",
    title,
    text,
    details,
  });
  if (breaker === "open") return warn("away", "Kafka is away.", keptSentence(spill));
  if (breaker === "half-open") return warn("trying", "Kafka is being tried again.", keptSentence(spill));
  if (producer === "disconnected")
    return warn("fault", "Kafka cannot be used.", spill.messages > 0 ? keptSentence(spill) : "");
  if (spill.messages > spill.refused) {
    const text = `${kept(spill)}, and are going out now.`;
    return { id: "sending", tone: "info", title: "Sending to Kafka what was kept.", text, details };
  }
  if (spill.messages > 0) return warn("refused", "Kafka refuses messages.", `${kept(spill)}.`);
  if (spill.error !== "") return warn("spill", "A part of the spillway does not answer.", "");
  return undefined;
}

function kept({ records, oldestMs }: Spill): string {
  const age = oldestMs === undefined ? "" : `, the oldest for ${formatAge(oldestMs)}`;
  return `${formatNumberOf(records, "record")} ${records === 1 ? "is" : "are"} kept safely in the spillway${age}`;
}

function keptSentence(spill: Spill): string {
  const back = "when it is back; nothing has to be sent again.";
  return spill.messages > 0
    ? `${kept(spill)}. They go to Kafka by themselves ${back}`
    : `New records are kept safely in the spillway, and go to Kafka by themselves ${back}`;
}

function trippedNotice({ tenant, topics }: KafkaStatus["tripped"][number]): Notice {
  return {
    id: `tripped ${tenant}`,
    tone: "warn",
    title: `Storage refuses what ${tenant} sends.`,
    text: `Nearly all of its records on ${topics.join(", ")} cannot be stored, so they are set aside as dead letters, which name the reason. Other tenants are not held up; one message a minute is tried again.`,
    details: [],
  };
}
