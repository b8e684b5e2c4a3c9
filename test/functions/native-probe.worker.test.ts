import { env, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { createNative } from "../../lib/kafka/native/native.ts";
it("x", async () => {
  const stub = env.PRODUCE_HOST.getByName("n");
  const r = await runInDurableObject(stub, async () => {
    const t = createNative({ brokers: ["127.0.0.1:29392"], tls: false, compression: "none" });
    return await t.topics();
  });
  expect(r.length).toBeGreaterThan(0);
});
