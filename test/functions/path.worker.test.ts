import { exports } from "cloudflare:workers";
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";

describe("a record's path", () => {
  it("goes from the intake through Kafka into the query API", async () => {
    const headers = { Authorization: "Bearer weir_dev_local00000000000000000000" };
    const posted = await exports.default.fetch("http://weir.test/api/v1/logs", { method: "POST", headers, body: JSON.stringify({ message: "hello", service: "s1" }) });
    console.log(posted.status, await posted.text());
    expect(posted.status).toBe(202);
    for (let i = 0; i < 50; i++) {
      const r = await exports.default.fetch("http://weir.test/api/v1/logs?service=s1", { headers });
      const rows = await r.json() as unknown[];
      if (rows.length > 0) { console.log(i, JSON.stringify(rows)); break; }
      await new Promise((f) => setTimeout(f, 50));
    }
    const s = await exports.default.fetch("http://weir.test/kafka/status", { headers });
    console.log(await s.text());
    const l = await exports.default.fetch("http://weir.test/api/v1/lag", { headers });
    console.log(await l.text());
    void env;
  });
});
