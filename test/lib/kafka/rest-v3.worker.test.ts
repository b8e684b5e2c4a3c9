// The rest-v3 transport inside of workerd: reports that come in pieces, over its streams.
import { describe, expect, it } from "vitest";
import { createRestV3 } from "../../../lib/kafka/rest-v3.ts";

describe("rest-v3 in workerd", () => {
  it("reads reports as they come, and keeps those before a break", async () => {
    const text = new TextEncoder();
    const seen: string[] = [];
    const transport = createRestV3({
      url: "http://confluent.test",
      fetch: async (input, init) => {
        const request = new Request(input, init);
        seen.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
        if (request.method === "GET") return Response.json({ data: [{ cluster_id: "lkc-1" }] });
        const pieces = ['{"error_code":200,"partition_id":0,', '"offset":5}{"error_code":429}{"err'];
        return new Response(
          new ReadableStream({
            pull(controller) {
              const piece = pieces.shift();
              if (piece === undefined) controller.error(new Error("the connection broke"));
              else controller.enqueue(text.encode(piece));
            },
          }),
        );
      },
    });
    const record = { partition: 0, key: null, value: text.encode("x") };
    expect(await transport.produce("t", [record, record, record])).toMatchObject([
      { ok: true, partition: 0, offset: 5 },
      { ok: false, error: { code: "throttled", retryable: true } },
      { ok: false, error: { code: "bad_answer", retryable: true } },
    ]);
    const line = '{"partition_id":0,"value":{"type":"BINARY","data":"eA=="}}';
    expect(seen).toEqual([
      "GET /v3/clusters ",
      `POST /v3/clusters/lkc-1/topics/t/records ${[line, line, line].join("\n")}`,
    ]);
  });
});
