import { describe, expect, it } from "vitest";
import { problem } from "../../../lib/http/problem.ts";
import { reasons, type Reason } from "../../../lib/telemetry/reasons.ts";

const all = Object.keys(reasons) as Reason[];

describe("a problem", () => {
  it.each(all)("%s has the members of RFC 9457 and an error's status", async (reason) => {
    const answer = problem(reason, { detail: "What happened.", requestId: "r-1" });
    const body: unknown = await answer.json();
    expect(body).toEqual({
      type: `urn:weir:problem:${reason}`,
      title: reasons[reason].title,
      status: answer.status,
      detail: "What happened.",
      code: reason,
      request_id: "r-1",
      errors: [],
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(600);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.headers.get("x-request-id")).toBe("r-1");
    expect(URL.canParse((body as { type: string }).type)).toBe(true);
  });

  it("is 500 for a fault of ours alone: OpenTelemetry's SDKs do not retry it", () => {
    expect(all.filter((reason) => (reasons[reason].status as number) === 500)).toEqual(["internal"]);
  });

  it("lists a hundred errors and tells how many there are", async () => {
    const errors = Array.from({ length: 101 }, (_, index) => ({
      index,
      path: "name",
      reason: "missing_field" as const,
      message: "is required",
    }));
    const body = (await problem("invalid_records", { detail: "d", requestId: "r", errors }).json()) as {
      errors: unknown[];
      errors_total: number;
    };
    expect(body.errors).toEqual(errors.slice(0, 100));
    expect(body.errors_total).toBe(101);
    expect(
      await problem("invalid_records", { detail: "d", requestId: "r", errors: errors.slice(1) }).json(),
    ).not.toHaveProperty("errors_total");
  });

  it("carries further members and headers", async () => {
    const answer = problem("kafka_unavailable", {
      detail: "d",
      requestId: "r",
      headers: { "Retry-After": "2" },
      extra: { accepted: 3 },
    });
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(await answer.json()).toMatchObject({ code: "kafka_unavailable", status: 503, accepted: 3 });
  });
});
