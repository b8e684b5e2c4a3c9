import { describe, expect, it } from "vitest";
import { noticesOf } from "../../dashboard/data/notices.ts";
import { parseStatus } from "../../dashboard/data/shapes.ts";
import type { Scenario } from "./fixture-server.ts";
import { kafkaStatus } from "./pipeline-answers.ts";

const notices = (scenario: Scenario, rest: object = {}) =>
  noticesOf(parseStatus({ ...kafkaStatus(scenario), ...rest })!);
const spill = { messages: 0, records: 0, bytes: 0, refused: 0, oldest_ms: null, error: null };

describe("notices", () => {
  it("are none while all is well", () => {
    expect(notices("normal")).toEqual([]);
  });

  it("say during an outage how much is kept, for how long, that it is safe, and what becomes of it", () => {
    const [notice, ...others] = notices("outage");
    expect(others).toEqual([]);
    expect(notice).toMatchObject({ id: "away", tone: "warn", title: "Kafka is away." });
    expect(notice?.text).toBe(
      "18,204 records are kept safely in the spillway, the oldest for 4 min. They go to Kafka by themselves when it is back; nothing has to be sent again.",
    );
    expect(notice?.details).toEqual([expect.stringContaining("check that the proxy runs")]);
  });

  it("say that an outage is one before the first record is kept", () => {
    expect(notices("outage", { spill })[0]?.text).toMatch(/^New records are kept safely/);
  });

  it.each([
    ["half-open", "trying", "warn"],
    ["closed", "sending", "info"],
  ])("tell the breaker's %s from an outage", (breaker, id, tone) => {
    expect(notices("recovering", { breaker })).toMatchObject([{ id, tone }]);
  });

  it("count one record as one", () => {
    const one = { ...spill, messages: 1, records: 1, oldest_ms: 900 };
    expect(notices("normal", { spill: one })[0]?.text).toMatch(/^1 record is kept safely .* for 0 s/);
  });

  it("do not promise to send what Kafka refuses", () => {
    const refused = { ...spill, messages: 2, records: 9, refused: 2, oldest_ms: 60_000 };
    const [notice] = notices("normal", { spill: refused });
    expect(notice).toMatchObject({ id: "refused", tone: "warn" });
    expect(notice?.text).not.toContain("on their way");
    expect(notice?.details[0]).toContain("Kafka refuses 2 messages");
  });

  it("say when the figures are not whole", () => {
    const error = "shard 2 of the spillway: no answer within 5000 ms";
    expect(notices("normal", { spill: { ...spill, error } })).toMatchObject([
      { id: "spill", details: [expect.stringContaining(error)] },
    ]);
    expect(notices("outage", { spill: { ...spill, error } })[0]?.details).toHaveLength(2);
  });

  it("say what is wrong where Kafka answers and cannot be used", () => {
    const rest = { kafka_producer: "disconnected", error: "1 topic is missing: logs.raw" };
    const [notice] = notices("normal", rest);
    expect(notice).toMatchObject({ id: "fault", text: "", details: [expect.stringContaining("logs.raw")] });
  });

  it("name a tripped tenant once, whichever partitions tripped it", () => {
    expect(notices("dead-letters")).toMatchObject([
      { id: "tripped orchard", text: expect.stringContaining("on events.raw cannot be stored") as string },
    ]);
  });

  it("need nothing of an older server", () => {
    expect(noticesOf(parseStatus({ kafka_producer: "connected" })!)).toEqual([]);
  });
});
