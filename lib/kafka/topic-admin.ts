// Looks at the deployment's topics through a transport, and makes those that are missing. Never changes a topic that
// exists: what differs is told. One topic's failure does not hide the others.
import { KafkaError } from "./errors.ts";
import { planTopic, type TopicPlan } from "./topic-plan.ts";
import type { KafkaTransport, TopicDescription, TopicSpec } from "./transport.ts";

/** A plan; `unknown` with the error where the topic could not be asked for. */
export type SurveyedTopic =
  | (TopicPlan & { partitions: number | null })
  | { name: string; state: "unknown"; error: string };

/** @throws KafkaError when not even the topics' names can be told */
export async function surveyTopics(
  transport: KafkaTransport,
  specs: readonly TopicSpec[],
): Promise<SurveyedTopic[]> {
  const [present, { partitionCounts }] = await Promise.all([
    transport.topics().then((names) => new Set(names)),
    transport.capabilities(),
  ]);
  const isCounted = partitionCounts !== "configured";
  return await Promise.all(
    specs.map(async (spec): Promise<SurveyedTopic> => {
      try {
        const found = present.has(spec.name) ? await describeIfThere(transport, spec.name) : undefined;
        const partitions = found?.partitions.length ?? null;
        return { ...planTopic(spec, found, isCounted), partitions };
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        return { name: spec.name, state: "unknown", error: `${error.code}: ${error.message}` };
      }
    }),
  );
}

async function describeIfThere(
  transport: KafkaTransport,
  topic: string,
): Promise<TopicDescription | undefined> {
  try {
    return await transport.describeTopic(topic);
  } catch (error) {
    if (error instanceof KafkaError && error.code === "unknown_topic") return undefined;
    throw error;
  }
}

export interface InitReport {
  name: string;
  result: "created" | "exists" | "drifted" | "failed";
  /** Why it failed. */
  reason?: string;
  drift?: TopicPlan["drift"];
}

export type InitOutcome =
  | { done: true; topics: InitReport[] }
  /** Topics are missing that this transport cannot make; nothing was done. */
  | { done: false; missing: TopicSpec[] };

/** @throws KafkaError when not even the topics' names can be told */
export async function initTopics(
  transport: KafkaTransport,
  specs: readonly TopicSpec[],
): Promise<InitOutcome> {
  const surveyed = await surveyTopics(transport, specs);
  const missing = specs.filter((_, i) => surveyed[i]?.state === "missing");
  const { createTopics } = await transport.capabilities();
  if (missing.length > 0 && !createTopics) return { done: false, missing };
  const topics: InitReport[] = [];
  for (const [i, spec] of specs.entries()) {
    const plan = surveyed[i];
    if (plan?.state === "missing") topics.push(await create(transport, spec));
    else if (plan?.state === "unknown")
      topics.push({ name: spec.name, result: "failed", reason: plan.error });
    else if (plan?.state === "drifted")
      topics.push({ name: spec.name, result: "drifted", drift: plan.drift });
    else topics.push({ name: spec.name, result: "exists" });
  }
  return { done: true, topics };
}

async function create(transport: KafkaTransport, spec: TopicSpec): Promise<InitReport> {
  const { name } = spec;
  try {
    await transport.createTopic(spec);
    return { name, result: "created" };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    // Somebody else was quicker, or our own call before a lost answer.
    if (error.code === "topic_exists") return { name, result: "exists" };
    return { name, result: "failed", reason: `${error.code}: ${error.message}` };
  }
}
