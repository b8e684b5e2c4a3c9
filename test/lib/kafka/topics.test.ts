import { describe, expect, it } from "vitest";
import { allTopics, topicName, type TopicNaming } from "../../../lib/kafka/topics.ts";
import developmentTopics from "../../../local-kafka/topics.json" with { type: "json" };

const naming: TopicNaming = { template: "{signal}.{stage}", org: "o", domain: "d", env: "e", overrides: {} };

describe("topics", () => {
  it("are by default the ones that local-kafka and the compose file make", () => {
    expect(allTopics(naming)).toEqual(developmentTopics.map(({ name }) => name));
  });

  it("are renamed by the template, and the raw ones singly", () => {
    const renamed = {
      ...naming,
      template: "{org}.{domain}.{signal}.{stage}.{env}",
      overrides: { logs: "my-logs" },
    };
    expect(topicName(renamed, "metrics", "raw")).toBe("o.d.metrics.raw.e");
    expect(topicName(renamed, "logs", "raw")).toBe("my-logs");
    expect(topicName(renamed, "logs", "dlq")).toBe("o.d.logs.dlq.e");
  });

  it.each([
    ["{org}.{domain}.{signal}.{stage}.{env}", "o.d.alerts.e"],
    ["{signal}.{stage}", "alerts"],
    ["{stage}-{env}-{signal}", "e-alerts"],
    ["x_{env}_{signal}{stage}", "x_e_alerts"],
  ])("of alerts has the template %s without a stage", (template, name) => {
    expect(allTopics({ ...naming, template }).at(-1)).toBe(name);
  });
});
