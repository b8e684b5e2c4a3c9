import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import { createD1IntentControl } from "../../../lib/storage/d1-intents.ts";
import { partitionCommit } from "../../contract/partition-commit.ts";
import { intentControlSuite } from "../../contract/intent-control.suite.ts";

intentControlSuite("d1", async () => createD1IntentControl(env.DB));

it("finishes nothing that was given up while it set out to", async () => {
  const control = createD1IntentControl(env.DB);
  const id = { group: `g${crypto.randomUUID()}`, topic: "logs.raw", partition: 0 };
  const counts = { metrics: 0, logs: 1, events: 0, traces: 0 };
  const block = { ...id, token: "t", incarnation: 0, epoch: 0, fromOffset: 0, toOffset: 1, counts };
  const intent = { block, planHash: "", places: [], commit: partitionCommit(id, {}), triedAtMs: 1 };
  await control.begin(intent);
  const slow = createD1IntentControl({
    prepare: (sql) => env.DB.prepare(sql),
    async batch(statements) {
      await control.abandon(intent);
      return await env.DB.batch(statements as D1PreparedStatement[]);
    },
  });
  expect(await slow.finish(block)).toBe("fenced");
  expect(await control.position(id)).toBeUndefined();
});

it("leaves nothing behind of what was closed", async () => {
  const left = await env.DB.prepare(
    `SELECT (SELECT count(*) FROM intents) AS open, (SELECT count(*) FROM intent_parts AS p WHERE NOT EXISTS
        (SELECT 1 FROM intents AS i WHERE i.group_id = p.group_id)) AS parts,
      (SELECT count(*) FROM intent_claims AS c WHERE NOT EXISTS
        (SELECT 1 FROM intents AS i WHERE i.group_id = c.group_id)) AS claims`,
  ).first();
  expect(left).toMatchObject({ parts: 0, claims: 0 });
});
