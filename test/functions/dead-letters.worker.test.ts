// Dead letters over the API: listed without their values, filtered, paged; one in full by its id, which is the end of a
// path as it stands on the `.dlq` topic.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { beforeEach, describe, expect, it } from "vitest";
import type { z } from "zod";
import { deadLetters } from "../../functions/dead-letters.ts";
import { prepare, type AppEnv } from "../../functions/request-context.ts";
import { streamStoreOf } from "../../functions/storage.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { deadLetterShape, deadLettersShape } from "../../lib/http/dead-letter-shape.ts";
import type { DeadLetter } from "../../lib/storage/storage.ts";
import { partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { problemOf } from "../support/worker/client.ts";
import { storeKey } from "../support/worker/stored-tenant.ts";

const app = new Hono<AppEnv>();
app.use(prepare);
app.route("/", deadLetters);

const PATH = "/api/v1/dlq";
const GROUP = "weir-storage";
const DIED = "2026-11-21T10:00:00.000Z";

async function ask(path: string, key: string): Promise<Response> {
  const context = createExecutionContext();
  const request = new Request(`http://weir.test${path}`, { headers: { Authorization: `Bearer ${key}` } });
  const response = await app.fetch(request, env, context);
  await waitOnExecutionContext(context);
  return response;
}

let tenant: string;
let topic: string;
let key: string;

beforeEach(async () => {
  tenant = `t${crypto.randomUUID()}`;
  topic = `topic.${crypto.randomUUID()}`;
  key = await storeKey(tenant, ["query"]);
});

const letter = (
  offset: number,
  value: string | Uint8Array,
  fields: Partial<DeadLetter> = {},
): DeadLetter => ({
  tenant,
  offset,
  index: -1,
  originalKey: btoa("api:web-1"),
  originalValue: Buffer.from(value).toString("base64"),
  error: "the message is not JSON",
  errorType: "malformed_json",
  attempts: 1,
  ...fields,
});

async function bury(...letters: DeadLetter[]): Promise<void> {
  const commit = partitionCommit(
    { group: GROUP, topic, partition: 2 },
    { next: positionAt(100), deadLetters: letters, committedAtMs: Date.parse(DIED) },
  );
  expect(await streamStoreOf(env).commit(commit)).toBe("committed");
}

async function list(query: string, as = key): Promise<z.output<typeof deadLettersShape>> {
  const response = await ask(`${PATH}${query}`, as);
  expect(response.status).toBe(200);
  return deadLettersShape.parse(await response.json());
}

const offsets = (letters: readonly { offset: number }[]) => letters.map(({ offset }) => offset);

describe("the list", () => {
  it("tells what each is, newest first, without its value", async () => {
    await bury(
      letter(1, "{"),
      letter(2, "[", { index: 3, error: "level is none", errorType: "wrong_type", attempts: 3 }),
    );
    const response = await ask(PATH, key);
    expect(await response.json()).toEqual([
      {
        id: `${GROUP}/${topic}/0/2/2/3`,
        tenant,
        original_topic: topic,
        original_partition: 2,
        original_offset: 2,
        original_key: btoa("api:web-1"),
        error: "level is none",
        error_type: "wrong_type",
        attempt: 3,
        dlq_timestamp: DIED,
        partition: 2,
        offset: 2,
        index: 3,
        group: GROUP,
        replays: 0,
      },
      expect.objectContaining({ id: `${GROUP}/${topic}/0/2/1/-1`, error_type: "malformed_json" }),
    ]);
  });

  it("is filtered by topic and reason", async () => {
    await bury(letter(1, "{"), letter(2, "{", { errorType: "wrong_type" }));
    expect(offsets(await list(`?topic=${topic}`))).toEqual([2, 1]);
    expect(await list("?topic=other")).toEqual([]);
    expect(offsets(await list("?error_type=wrong_type"))).toEqual([2]);
  });

  it("comes in pages", async () => {
    await bury(...Array.from({ length: 5 }, (_, i) => letter(i, "{")));
    const found: number[] = [];
    let path = `${PATH}?limit=2&topic=${topic}`;
    for (let pages = 0; pages < 3; pages++) {
      const response = await ask(path, key);
      found.push(...offsets(deadLettersShape.parse(await response.json())));
      const next = /^<(.*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
      if (next === undefined) break;
      path = next;
    }
    expect(found).toEqual([4, 3, 2, 1, 0]);
  });

  it("is a tenant's own; an operator's is all, or the one's that is asked for", async () => {
    await bury(letter(1, "{"), letter(2, "{", { tenant: "someone" }));
    expect(offsets(await list(""))).toEqual([1]);
    expect(offsets(await list(`?topic=${topic}`, DEV_KEY))).toEqual([2, 1]);
    expect(offsets(await list(`?topic=${topic}&tenant=${tenant}`, DEV_KEY))).toEqual([1]);
    const refused = await ask(`${PATH}?tenant=someone`, key);
    expect(await problemOf(refused)).toMatchObject({ status: 403, code: "forbidden" });
  });

  it.each(["?limit=0", "?cursor=%21", "?reason=x"])("refuses %s", async (query) => {
    expect(await problemOf(await ask(`${PATH}${query}`, key))).toMatchObject({
      status: 400,
      code: "invalid_query",
    });
  });
});

describe("one dead letter", () => {
  const show = async (offset: number) => {
    const response = await ask(`${PATH}/${GROUP}/${topic}/0/2/${offset}/-1`, key);
    expect(response.status).toBe(200);
    return deadLetterShape.parse(await response.json());
  };

  it("is found by its id, with the bytes that came", async () => {
    const bytes = Uint8Array.of(0xff, 0xfe, 0);
    await bury(
      letter(1, '{"message":7}'),
      letter(2, "no JSON: ä"),
      letter(3, bytes),
      letter(4, "", { originalValue: null }),
      letter(5, "[".repeat(100_000)),
    );
    expect(await show(1)).toMatchObject({
      id: `${GROUP}/${topic}/0/2/1/-1`,
      original_value: btoa('{"message":7}'),
      original_encoding: "base64",
      original_message: { message: 7 },
    });
    expect(await show(2)).toMatchObject({ original_message: "no JSON: ä" });
    const binary = await show(3);
    expect(binary.original_value).toBe(Buffer.from(bytes).toString("base64"));
    expect(binary).not.toHaveProperty("original_message");
    const empty = await show(4);
    expect(empty.original_value).toBeNull();
    expect(empty).not.toHaveProperty("original_message");
    expect((await show(5)).original_message).toBe("[".repeat(100_000));
  });

  it("of another tenant is not there, but for an operator", async () => {
    await bury(letter(1, "{", { tenant: "someone" }));
    const path = `${PATH}/${GROUP}/${topic}/0/2/1/-1`;
    expect(await problemOf(await ask(path, key))).toMatchObject({ status: 404, code: "not_found" });
    expect((await ask(path, DEV_KEY)).status).toBe(200);
  });

  it.each(["0/2/9/-1", "0/2/1/-2", "0/2/01/-1", "0/2/x/-1", "0/2/1e3/-1", "0/2/1/9999999999999999"])(
    "is not there at %s",
    async (rest) => {
      await bury(letter(1, "{"));
      const response = await ask(`${PATH}/${GROUP}/${topic}/${rest}`, key);
      expect(await problemOf(response)).toMatchObject({ status: 404, code: "not_found" });
    },
  );
});
