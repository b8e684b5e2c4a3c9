// The way of a record, as a weir: edge, Kafka, consumers, storage, each a step lower, each with its state and figure;
// and beside it the lag of every topic. Above it, and only while there is something: what is not as usual, in words.
import { type Answer, type Api, kafkaTimeoutMs } from "../data/api-client.ts";
import { formatCount, formatRate } from "../data/format.ts";
import { lagByTopic, Rate, type TopicLag, totalLag, totalRecords } from "../data/lag.ts";
import { noticesOf } from "../data/notices.ts";
import { type KafkaStatus, parseLag, parseStatus, type PartitionLag } from "../data/shapes.ts";
import { el, setText } from "../view/element.ts";
import { createNotices } from "../view/notices.ts";
import { createFrame, type Panel } from "../view/panel.ts";

type Tone = "good" | "warn" | "bad" | "unknown";

/** The consumer that falls this far behind alerts by default (contracts.md, reading). */
const lagAlarm = 10_000;
const lagNotice = 1_000;
const rateSpanMs = 30_000;

const tones: Record<string, Tone> = {
  connected: "good",
  running: "good",
  retrying: "warn",
  disconnected: "bad",
  stopped: "bad",
};

function createStep(name: string): {
  element: HTMLElement;
  set: (figure: string, note: string, tone: Tone) => void;
} {
  const figure = el("span", { class: "figure" }, "–");
  const note = el("span", { class: "note" });
  const element = el(
    "li",
    { class: "step", "data-tone": "unknown", "data-testid": `step-${name.toLowerCase()}` },
    el("span", { class: "name" }, name),
    figure,
    note,
  );
  return {
    element,
    set(text, more, tone) {
      setText(figure, text);
      setText(note, more);
      element.dataset["tone"] = tone;
    },
  };
}

function lagTone(lag: number | undefined): Tone {
  if (lag === undefined) return "unknown";
  if (lag > lagAlarm) return "bad";
  return lag > lagNotice ? "warn" : "good";
}

export function createPipeline(): Panel {
  const frame = createFrame({ id: "pipeline", title: "Pipeline", scope: "operator", class: "pipeline" });
  const [edge, kafka, consumers, storage] = [
    createStep("Edge"),
    createStep("Kafka"),
    createStep("Consumers"),
    createStep("Storage"),
  ];
  const cascade = el(
    "ol",
    { class: "cascade" },
    edge.element,
    kafka.element,
    consumers.element,
    storage.element,
  );
  const rows = el("tbody");
  const table = el(
    "table",
    { class: "topics" },
    el("caption", { class: "visually-hidden" }, "Consumer lag per topic"),
    el(
      "thead",
      {},
      el("tr", {}, ...["Topic", "Lag", "Stored", "Rate"].map((name) => el("th", { scope: "col" }, name))),
    ),
    rows,
  );
  const notices = createNotices();
  frame.body.append(notices.element, cascade, el("div", { class: "topics-box" }, table));
  const rates = new Map<string, Rate>();
  const totalRate = new Rate(rateSpanMs);

  function drawTopics(topics: TopicLag[], nowMs: number): void {
    const severalGroups = new Set(topics.map(({ group }) => group)).size > 1;
    rows.replaceChildren(
      ...topics.flatMap((topic) => {
        const key = `${topic.topic}\u0000${topic.group}`;
        const rate = rates.get(key) ?? new Rate(rateSpanMs);
        rates.set(key, rate);
        return [
          el(
            "tr",
            { "data-tone": topic.errors.length > 0 ? "bad" : lagTone(topic.lag) },
            el(
              "th",
              { scope: "row" },
              topic.topic,
              ...(severalGroups ? [el("span", { class: "minor" }, topic.group)] : []),
            ),
            el("td", { class: "lag" }, formatCount(topic.lag)),
            el("td", {}, formatCount(topic.records)),
            el("td", {}, formatRate(rate.read(topic.records, nowMs))),
          ),
          ...topic.errors.map(({ partition, error }) =>
            el(
              "tr",
              { class: "stuck" },
              el("td", { colspan: "4" }, `Partition ${partition} stands still: ${error}`),
            ),
          ),
        ];
      }),
      ...(topics.length === 0
        ? [
            el(
              "tr",
              {},
              el(
                "td",
                { colspan: "4", class: "minor" },
                "No partition is consumed yet. They appear with the first record.",
              ),
            ),
          ]
        : []),
    );
  }

  function drawStatus(status: KafkaStatus | undefined): void {
    if (!status) return;
    notices.set(noticesOf(status));
    const { producer, transport, acks, breaker, spill } = status;
    const tone = tones[producer] ?? "unknown";
    const kept = spill.messages > 0 ? `${formatCount(spill.records)} kept safely` : "producer";
    if (breaker === "closed") {
      edge.set(producer, kept, spill.messages > 0 && tone === "good" ? "warn" : tone);
      kafka.set(transport || "–", acks ? `acks=${acks}` : "transport", tone);
    } else {
      edge.set("keeping", kept, "warn");
      kafka.set(breaker === "open" ? "away" : "trying", transport, breaker === "open" ? "bad" : "warn");
    }
  }

  function drawFlow(partitions: PartitionLag[], status: KafkaStatus | undefined, nowMs: number): void {
    const topics = lagByTopic(partitions);
    const lag = totalLag(topics);
    const stuck = topics.some(({ errors }) => errors.length > 0);
    const consumerTone = tones[status?.consumer ?? ""] ?? "unknown";
    const behind = lag === 0 ? "caught up" : `${formatCount(lag)} behind`;
    const tone = stuck || consumerTone === "bad" ? "bad" : consumerTone === "warn" ? "warn" : lagTone(lag);
    consumers.set(status?.consumer ?? "–", partitions.length > 0 ? behind : "no lag known", tone);
    const records = totalRecords(topics);
    storage.set(
      formatRate(totalRate.read(records, nowMs)),
      `${formatCount(records)} records stored`,
      stuck ? "warn" : partitions.length > 0 ? "good" : "unknown",
    );
    drawTopics(topics, nowMs);
  }

  return {
    element: frame.element,
    everyMs: 5_000,
    async refresh(api: Api) {
      const patience = { timeoutMs: kafkaTimeoutMs };
      const [lag, status]: [Answer<PartitionLag[]>, Answer<KafkaStatus>] = await Promise.all([
        api.get("/api/v1/lag", parseLag, patience),
        api.get("/kafka/status", parseStatus, patience),
      ]);
      const known = status.ok ? status.value : undefined;
      drawStatus(known);
      // One of the two is enough for a picture; the other's problem is told all the same.
      if (lag.ok) drawFlow(lag.value, known, api.nowMs());
      return frame.settle(lag.ok ? status : lag, () => {});
    },
  };
}
