// `weir ledger`: whether all that was accepted is accounted for. Exit code 1 where it is not.
import { z } from "zod";
import type { Command } from "./command.ts";
import { count, printable, type Cell, type Output } from "./output.ts";

const line = z.looseObject({
  tenant: z.string(),
  signal: z.string(),
  accepted: z.int().nullable(),
  stored: z.int(),
  late: z.int(),
  dead: z.int(),
  deduplicated: z.int(),
  expired: z.int(),
  spilled: z.int().nullable(),
  waiting: z.int().nullable(),
  difference: z.int().nullable(),
  uncertain: z.looseObject({ lost_counts_at_most: z.int(), unconfirmed: z.int() }),
  settled: z.boolean(),
  balanced: z.boolean().nullable(),
  redelivered: z.int(),
  foreign: z.int(),
  client_discarded: z.int(),
});
type Line = z.output<typeof line>;

const answer = z.looseObject({
  settled: z.boolean(),
  balanced: z.boolean().nullable(),
  lines: z.array(line),
  deployment: z
    .looseObject({
      waiting_messages: z.int().nullable(),
      spilled_messages: z.int().nullable(),
      expired_messages: z.array(z.looseObject({ topic: z.string(), messages: z.int() })),
      open_intervals: z.int(),
      lost_isolates: z.int(),
      errors: z.array(z.string()),
    })
    .optional(),
});
type Answer = z.output<typeof answer>;

export const ledger: Command = {
  name: "ledger",
  summary: "whether all that was accepted is accounted for",
  positionals: [],
  options: {
    tenant: {
      type: "string",
      short: "t",
      hint: "TENANT",
      summary: "of one; another than the key's own takes the scope operator, which sees all",
    },
  },
  notes: [
    "accepted + foreign = stored + late + dead + deduplicated + expired + spilled + waiting",
    "While records are on their way nothing is claimed. Exit code 1 when it is out of balance.",
  ],
  async run({ api, args, output, isJson }) {
    const tenant = args.text("tenant");
    const query = tenant === undefined ? "" : `?${new URLSearchParams({ tenant }).toString()}`;
    const { value } = await api.get(`/api/v1/ledger${query}`, answer);
    if (isJson) await output.json(value);
    else await tell(output, value, tenant);
    return value.balanced === false ? 1 : 0;
  },
};

async function tell(output: Output, answer: Answer, tenant: string | undefined): Promise<void> {
  const { lines, deployment } = answer;
  if (lines.length > 0) await table(output, lines);
  else if (tenant !== undefined)
    await output.line(`Nothing of the tenant ${printable(tenant)} was accepted yet.`);
  else await output.line("Nothing was accepted yet. `weir produce` sends something, POST /api/v1/logs, too.");
  const below = [...verdictOf(output, answer), ...notesOf(lines, deployment)];
  if (below.length > 0) await output.line("");
  for (const text of below) await output.line(text);
}

function* verdictOf(output: Output, { balanced, settled, lines }: Answer): Generator<string> {
  if (balanced === true) {
    // A name that was mistyped has no lines either: nothing is claimed of it.
    if (lines.length > 0) yield output.tint("Balanced: every accepted record is accounted for.", "good");
  } else if (balanced === false) {
    yield output.tint("Out of balance:", "bad");
    for (const one of lines.filter((line) => line.balanced === false))
      yield `  ${printable(one.tenant)} ${one.signal}: ${faultOf(one)}`;
  } else if (settled) yield "It cannot be known whether it is balanced: messages expired unread.";
  else yield "Not settled: records are on their way, or a part does not answer. Ask again.";
}

async function table(output: Output, lines: readonly Line[]): Promise<void> {
  const isOne = new Set(lines.map(({ tenant }) => tenant)).size <= 1;
  const optional = { isRight: true, isOptional: true };
  await output.table(
    [
      { title: "TENANT", isOptional: true },
      { title: "SIGNAL" },
      { title: "ACCEPTED", isRight: true },
      { title: "FOREIGN", ...optional },
      { title: "STORED", isRight: true },
      { title: "LATE", ...optional },
      { title: "DEAD", ...optional },
      { title: "DEDUPLICATED", ...optional },
      { title: "EXPIRED", ...optional },
      { title: "SPILLED", ...optional },
      { title: "WAITING", ...optional },
      { title: "DIFFERENCE", isRight: true },
      { title: "STATE" },
    ],
    lines.map((one) => [
      isOne ? "" : printable(one.tenant),
      one.signal,
      numberOrUnknown(one.accepted),
      shown(one.foreign),
      String(one.stored),
      shown(one.late),
      shown(one.dead),
      shown(one.deduplicated),
      shown(one.expired),
      shown(one.spilled),
      shown(one.waiting),
      numberOrUnknown(one.difference),
      stateOf(one),
    ]),
  );
}

/** A column of nothing but zeros is left out. */
function shown(number: number | null): string {
  if (number === null) return "?";
  return number === 0 ? "" : String(number);
}

function stateOf({ balanced, settled }: Line): Cell {
  if (balanced === true) return { text: "balanced", tint: "good" };
  if (balanced === false) return { text: "out of balance", tint: "bad" };
  return { text: settled ? "unknown" : "not settled", tint: "warn" };
}

function faultOf({ difference, uncertain }: Line): string {
  const off = difference ?? 0;
  if (off > 0) return `${count(off, "accepted record")} nowhere to be found`;
  const known = uncertain.lost_counts_at_most + uncertain.unconfirmed;
  return `${count(-off, "record")} more than were accepted, of which ${known} at most can be explained`;
}

function* notesOf(lines: readonly Line[], deployment: Answer["deployment"]): Generator<string> {
  const lost = Math.max(0, ...lines.map(({ uncertain }) => uncertain.lost_counts_at_most));
  const discarded = lines.reduce((sum, one) => sum + one.client_discarded, 0);
  const redelivered = lines.reduce((sum, one) => sum + one.redelivered, 0);
  if (lost > 0)
    yield `Isolates ended that may have accepted up to ${count(lost, "record")} more than are told.`;
  if (redelivered > 0) yield `Of copies in the log, ${count(redelivered, "record")} passed over.`;
  if (discarded > 0) yield `Clients say they threw away ${count(discarded, "record")} before sending.`;
  for (const { topic, messages } of deployment?.expired_messages ?? [])
    yield `${count(messages, "message")} of ${topic} expired unread.`;
  for (const error of deployment?.errors ?? []) yield `Not known: ${printable(error)}.`;
}

function numberOrUnknown(value: number | null): string {
  return value === null ? "?" : String(value);
}
