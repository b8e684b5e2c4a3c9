// The topics' names and how each is made. TOPIC_TEMPLATE renames them all, KAFKA_TOPIC_* the raw ones singly.
import { SIGNALS, type Signal } from "../telemetry/signal.ts";

const STAGES = ["raw", "processed", "dlq", "late"] as const;
type Stage = (typeof STAGES)[number];

export interface TopicNaming {
  template: string;
  org: string;
  domain: string;
  env: string;
  overrides: Partial<Record<Signal, string>>;
}

/** Name of a signal's topic, as in `logs.raw`. */
export function topicName(naming: TopicNaming, signal: Signal, stage: Stage): string {
  const override = naming.overrides[signal];
  if (stage === "raw" && override !== undefined) return override;
  return render(naming.template, naming, signal, stage);
}

/** Alerts have no stages: that part of the template goes, with what parts it from the one before (or behind) it. */
export function alertsTopic(naming: TopicNaming): string {
  const { template } = naming;
  const isFirst = template.startsWith("{stage}");
  return render(template.replace(isFirst ? /\{stage\}[^{}]*/ : /[^{}]*\{stage\}/, ""), naming, "alerts", "");
}

function render(template: string, naming: TopicNaming, signal: string, stage: string): string {
  const fields = { org: naming.org, domain: naming.domain, env: naming.env, signal, stage };
  return template.replace(
    /\{(org|domain|signal|stage|env)\}/g,
    (_, field: keyof typeof fields) => fields[field],
  );
}

/** All topics of a deployment, in a stable order. */
export function allTopics(naming: TopicNaming): string[] {
  const names = SIGNALS.flatMap((signal) => STAGES.map((stage) => topicName(naming, signal, stage)));
  return [...names, alertsTopic(naming)];
}
