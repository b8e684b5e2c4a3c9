// `weir dlq list`, `show`, `replay`: what could not be stored by a fault of its own.
import { z } from "zod";
import { ApiError } from "./api.ts";
import { UsageError, type Command } from "./command.ts";
import { count, printable, type Output } from "./output.ts";

const PATH = "/api/v1/dlq";

const row = z.looseObject({
  id: z.string(),
  tenant: z.string(),
  error: z.string(),
  error_type: z.string(),
  attempt: z.int(),
  dlq_timestamp: z.string(),
});

const letter = row.extend({
  original_topic: z.string(),
  original_partition: z.int(),
  original_offset: z.int(),
  index: z.int(),
  original_key: z.string().nullable(),
  original_value: z.string().nullable(),
  original_message: z.unknown().optional(),
});

export const dlqList: Command = {
  name: "dlq list",
  summary: "what could not be stored, newest first",
  positionals: [],
  options: {
    topic: { type: "string", hint: "TOPIC", summary: "that came from this one" },
    reason: { type: "string", short: "r", hint: "REASON", summary: "of this one, as malformed_json" },
    from: { type: "string", hint: "TIME", summary: "that died from then on, 2026-11-21T10:00:00Z" },
    to: { type: "string", hint: "TIME", summary: "that died before" },
    limit: { type: "string", short: "n", hint: "N", summary: "how many at most (100)" },
    tenant: {
      type: "string",
      short: "t",
      hint: "TENANT",
      summary: "of one; another than the key's own takes the scope operator, which sees all",
    },
  },
  async run({ api, args, output, isJson }) {
    const limit = args.wholeNumber("limit", 1, 1_000) ?? 100;
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [name, value] of [
      ["topic", args.text("topic")],
      ["error_type", args.text("reason")],
      ["from", args.text("from")],
      ["to", args.text("to")],
      ["tenant", args.text("tenant")],
    ] as const)
      if (value !== undefined) query.set(name, value);
    const { value: rows, next } = await api.get(`${PATH}?${query.toString()}`, z.array(row));
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    if (rows.length === 0) {
      await output.line(
        "No dead letters. What the intake refuses never gets here: its answers tell of that.",
      );
      return 0;
    }
    const isOne = new Set(rows.map(({ tenant }) => tenant)).size <= 1;
    await output.table(
      [
        { title: "DIED" },
        { title: "ID" },
        { title: "TENANT", isOptional: true },
        { title: "REASON" },
        { title: "ERROR" },
      ],
      rows.map((one) => [
        one.dlq_timestamp,
        one.id,
        isOne ? "" : printable(one.tenant),
        printable(one.error_type),
        printable(one.error),
      ]),
    );
    if (next !== undefined) {
      await output.line("");
      await output.line(`The newest ${count(rows.length, "dead letter")}; --limit tells of more.`);
    }
    return 0;
  },
};

export const dlqShow: Command = {
  name: "dlq show",
  summary: "one dead letter, with what came",
  positionals: [{ name: "ID", required: true }],
  options: {},
  notes: ["What came stands alone on stdout where it is text; --json has its bytes in base64."],
  async run({ api, positionals: [id = ""], output, isJson }) {
    const path = id.split("/").map(encodeURIComponent).join("/");
    const { value } = await api.get(`${PATH}/${path}`, letter).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.problem?.code === "not_found")) throw error;
      const detail = `There is no dead letter ${printable(id)}; \`weir dlq list\` tells their ids.`;
      throw new ApiError(detail, error.status, error.problem, error);
    });
    if (isJson) {
      await output.json(value);
      return 0;
    }
    const place = `${value.original_topic}/${value.original_partition} at ${value.original_offset}`;
    const which = value.index < 0 ? "the whole message" : `record ${value.index}`;
    output.note(`${place}, ${which}, of tenant ${printable(value.tenant)}; died ${value.dlq_timestamp}`);
    output.note(`${printable(value.error_type)}: ${printable(value.error)}`);
    const { original_message: message } = value;
    if (message === undefined)
      output.note(value.original_value === null ? "Its bytes were not kept." : "It is no text; see --json.");
    else if (typeof message === "string") await output.line(printable(message));
    else await output.json(message);
    return 0;
  },
};

const notDone = z.array(z.object({ id: z.string(), reason: z.string() }));

const replayed = z.looseObject({
  topic: z.string(),
  replayed: z.int(),
  records: z.int(),
  skipped: notDone,
  failed: notDone,
  next: z.string().nullable(),
});

type Replayed = z.output<typeof replayed>;

export const dlqReplay: Command = {
  name: "dlq replay",
  summary: "writes dead letters to their topic again, one or many",
  positionals: [
    { name: "TOPIC", required: true },
    { name: "ID", required: false },
  ],
  options: {
    all: { type: "boolean", summary: "all that came from the topic and were not replayed yet" },
    from: { type: "string", hint: "TIME", summary: "those that died from then on, 2026-11-21T10:00:00Z" },
    to: { type: "string", hint: "TIME", summary: "those that died before" },
    reason: { type: "string", short: "r", hint: "REASON", summary: "of this one, as malformed_json" },
    again: { type: "boolean", summary: "with --all, --from or --to: those replayed before, too" },
    "dry-run": { type: "boolean", summary: "says how many there are, and writes nothing" },
  },
  notes: [
    "Nothing is edited. What was stored meanwhile is not stored again; what is bad still dies again.",
    "",
    "  weir dlq replay logs.raw weir-storage/logs.raw/0/2/41/-1",
    "  weir dlq replay logs.raw --from 2026-11-21T10:00:00Z --to 2026-11-21T11:00:00Z",
  ],
  async run({ api, positionals: [topic = "", id], args, output, isJson }) {
    const [from, to] = [args.text("from"), args.text("to")];
    const ways = [id, args.isSet("all") || undefined, from ?? to].filter((one) => one !== undefined);
    if (ways.length !== 1) throw new UsageError("needs one of ID, --all, or --from and --to");
    const reason = args.text("reason");
    const chosen = {
      ...(id !== undefined && { ids: [id] }),
      ...(args.isSet("all") && { all: true }),
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      ...(reason !== undefined && { error_type: reason }),
      ...(args.isSet("again") && { again: true }),
      ...(args.isSet("dry-run") && { dry_run: true }),
    };
    const sum: Replayed = { topic, replayed: 0, records: 0, skipped: [], failed: [], next: null };
    let cursor: string | null = null;
    do {
      const body = cursor === null ? chosen : { ...chosen, cursor };
      const page: Replayed = await api.post(`${PATH}/${encodeURIComponent(topic)}/replay`, body, replayed);
      sum.topic = page.topic;
      sum.replayed += page.replayed;
      sum.records += page.records;
      sum.skipped.push(...page.skipped);
      sum.failed.push(...page.failed);
      cursor = page.next;
      output.progress(`${count(sum.replayed, "dead letter")} replayed`);
    } while (cursor !== null && sum.failed.length === 0);
    sum.next = cursor;
    output.progress("");
    if (isJson) await output.json(sum);
    else await tellReplayed(output, sum, args.isSet("dry-run"));
    return sum.failed.length > 0 || (id !== undefined && sum.skipped.length > 0) ? 1 : 0;
  },
};

async function tellReplayed(output: Output, sum: Replayed, isDry: boolean): Promise<void> {
  for (const { id, reason } of sum.skipped) output.note(`${printable(id)}: skipped, ${printable(reason)}`);
  for (const { id, reason } of sum.failed)
    output.note(`${printable(id)}: failed, ${printable(reason)}; what is left can be replayed again`);
  const letters = count(sum.replayed, "dead letter");
  await output.line(
    isDry
      ? `${letters} would be written to ${sum.topic}`
      : `${letters} written to ${sum.topic}, ${count(sum.records, "record")} accepted once more`,
  );
}
