// The package @upstash/kafka loads and works inside of workerd, through our client.
import { describe, expect, it } from "vitest";
import { createUpstash } from "../../../lib/kafka/upstash.ts";

describe("upstash in workerd", () => {
  it("writes, reads and asks for offsets", async () => {
    const seen: string[] = [];
    const answers: Record<string, unknown> = {
      "/produce": [{ topic: "t", partition: 0, offset: 3, timestamp: 1_637_745_834_756 }],
      "/fetch": [
        {
          topic: "t",
          partition: 0,
          offset: 3,
          timestamp: 1_637_745_834_756,
          key: "",
          value: "ü",
          headers: [],
        },
      ],
      "/offsets/latest": [{ topic: "t", partition: 0, offset: 4 }],
      "/topics": { t: 1 },
    };
    const transport = createUpstash({
      url: "http://upstash.test",
      acksConfirmed: "all",
      fetch: async (input, init) => {
        const { pathname } = new URL(new Request(input, init).url);
        seen.push(pathname);
        return Response.json(answers[pathname]);
      },
    });
    const value = new TextEncoder().encode("ü");
    expect(await transport.produce("t", [{ partition: 0, key: null, value }])).toEqual([
      { ok: true, partition: 0, offset: 3 },
    ]);
    const [found] = await transport.fetch({ topic: "t", partition: 0, offset: 3, maxBytes: 1, waitMs: 0 });
    expect([...found!.value!]).toEqual([...value]);
    expect(await transport.latestOffset("t", 0)).toBe(4);
    expect(await transport.partitionCount("t")).toBe(1);
    expect(seen).toEqual(["/produce", "/fetch", "/offsets/latest", "/topics"]);
  });
});
