// The stand-in answers as the API does: in every scenario, by the shapes that the API itself is documented with.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import { deadLettersShape } from "../../lib/http/dead-letter-shape.ts";
import { ledgerShape } from "../../lib/http/ledger-shape.ts";
import { kafkaStatusShape, lagShape } from "../../lib/http/ops-shape.ts";
import { type FixtureServer, scenarios, startFixtureServer } from "./fixture-server.ts";

const shapes: Array<[path: string, shape: z.ZodType]> = [
  ["/kafka/status", kafkaStatusShape],
  ["/api/v1/lag", lagShape],
  ["/api/v1/ledger", ledgerShape],
  ["/api/v1/dlq?limit=50", deadLettersShape],
];
const refusing = new Set(["failing", "unauthorized"]);

describe("the fixture server", () => {
  let server: FixtureServer;
  beforeAll(async () => {
    server = await startFixtureServer();
  });
  afterAll(() => server.close());

  it.each(scenarios.filter((scenario) => !refusing.has(scenario)))(
    "answers in the API's shapes: %s",
    async (scenario) => {
      server.scenario = scenario;
      for (const [path, shape] of shapes) {
        const response = await fetch(new URL(path, server.origin));
        if (response.status === 403) continue;
        expect(response.status).toBe(200);
        expect(shape.safeParse(await response.json()).error?.issues, path).toBeUndefined();
      }
    },
  );

  it("adds up: difference = accepted + foreign − the rest, on every line that knows", async () => {
    for (const scenario of scenarios) {
      if (refusing.has(scenario)) continue;
      server.scenario = scenario;
      const { lines } = ledgerShape.parse(
        await (await fetch(new URL("/api/v1/ledger", server.origin))).json(),
      );
      for (const one of lines) {
        if (one.accepted === null || one.spilled === null || one.waiting === null) continue;
        const rest =
          one.stored + one.late + one.dead + one.deduplicated + one.expired + one.spilled + one.waiting;
        expect(one.difference, scenario).toBe(one.accepted + one.foreign - rest);
      }
    }
  });
});
