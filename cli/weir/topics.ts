// `weir topics list`, `describe`, `init`.
import { z } from "zod";
import { ApiError } from "./api.ts";
import type { Command } from "./command.ts";
import { count, type Cell, type Output } from "./output.ts";

const drift = z.looseObject({
  setting: z.string(),
  wanted: z.string(),
  found: z.string(),
  harmless: z.boolean(),
});
type Drift = z.output<typeof drift>;

const planRow = z.looseObject({
  name: z.string(),
  state: z.string(),
  partitions: z.int().nullish(),
  drift: z.array(drift).default([]),
  under_replicated: z.array(z.int()).nullish(),
  error: z.string().optional(),
});

const sizeRow = z.looseObject({
  name: z.string(),
  managed: z.boolean(),
  partitions: z.int().nullable(),
  messages: z.int().nullable(),
  error: z.string().optional(),
});

const described = z.looseObject({
  name: z.string(),
  state: z.string(),
  partitions: z.array(
    z.looseObject({
      partition: z.int(),
      replicas: z.int().nullable(),
      in_sync_replicas: z.int().nullable(),
      start: z.int().nullable(),
      end: z.int().nullable(),
      messages: z.int().nullable(),
      error: z.string().optional(),
    }),
  ),
  config: z.record(z.string(), z.string()).nullable(),
  wanted: z.looseObject({ config: z.record(z.string(), z.string()) }).nullable(),
  drift: z.array(drift),
  under_replicated: z.array(z.int()).nullable(),
});

const report = z.array(
  z.looseObject({
    name: z.string(),
    result: z.string(),
    reason: z.string().optional(),
    drift: z.array(drift).optional(),
  }),
);

const howToMake = z.looseObject({
  missing: z.array(z.looseObject({ name: z.string(), partitions: z.int() })),
  commands: z.array(z.looseObject({ tool: z.string(), command: z.string() })),
});

export const topicsList: Command = {
  name: "topics list",
  summary: "the deployment's topics, and how they differ from the settings",
  positionals: [],
  options: { all: { type: "boolean", short: "a", summary: "other topics of the cluster, too" } },
  async run({ api, args, output, isJson }) {
    const [plans, sizes] = await Promise.all([
      api.list("/api/v1/admin/topics", planRow),
      api.list("/api/v1/topics?limit=1000", sizeRow),
    ]);
    const sizeOf = new Map(sizes.map((row) => [row.name, row]));
    const own = plans.map((plan) => ({
      ...plan,
      managed: true,
      messages: sizeOf.get(plan.name)?.messages ?? null,
    }));
    const others = sizes
      .filter(({ managed }) => args.isSet("all") && !managed)
      .map(({ name, partitions, messages, error }) => ({
        name,
        state: "unmanaged",
        partitions,
        drift: [],
        under_replicated: null,
        error,
        managed: false,
        messages,
      }));
    const rows = [...own, ...others];
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    await output.table(
      [
        { title: "TOPIC" },
        { title: "PARTITIONS", isRight: true },
        { title: "MESSAGES", isRight: true, isOptional: true },
        { title: "STATE" },
        { title: "NOTE", isOptional: true },
      ],
      rows.map((row) => [
        row.name,
        numberOrDash(row.partitions),
        numberOrDash(row.messages),
        stateCell(row.state),
        row.error ?? noteOf(row.drift, row.under_replicated),
      ]),
    );
    const missing = own.filter(({ state }) => state === "missing").length;
    if (missing > 0) {
      await output.line("");
      await output.line(
        `${count(missing, "topic")} missing: \`weir topics init\` makes ${missing === 1 ? "it" : "them"}.`,
      );
    }
    return 0;
  },
};

export const topicsDescribe: Command = {
  name: "topics describe",
  summary: "one topic: partitions, replicas, offsets, settings",
  positionals: [{ name: "TOPIC", required: true }],
  options: {},
  async run({ api, positionals: [topic = ""], output, isJson }) {
    const { value } = await api.get(`/api/v1/admin/topics/${encodeURIComponent(topic)}`, described);
    if (isJson) {
      await output.json(value);
      return 0;
    }
    await output.line(`${output.tint(value.name, "bold")}  ${show(output, stateCell(value.state))}`);
    await output.line("");
    await output.table(
      [
        { title: "PARTITION", isRight: true },
        { title: "START", isRight: true },
        { title: "END", isRight: true },
        { title: "MESSAGES", isRight: true, isOptional: true },
        { title: "REPLICAS", isRight: true, isOptional: true },
        { title: "IN SYNC", isRight: true, isOptional: true },
        { title: "NOTE", isOptional: true },
      ],
      value.partitions.map((one) => [
        String(one.partition),
        numberOrDash(one.start),
        numberOrDash(one.end),
        numberOrDash(one.messages),
        numberOrDash(one.replicas),
        value.under_replicated?.includes(one.partition)
          ? { text: numberOrDash(one.in_sync_replicas), tint: "bad" }
          : numberOrDash(one.in_sync_replicas),
        one.error ?? "",
      ]),
    );
    const settings = settingRows(value.wanted?.config ?? {}, value.config ?? {}, value.drift);
    if (settings.length === 0) return 0;
    await output.line("");
    await output.table(
      [
        { title: "SETTING" },
        { title: "WANTED", isRight: true },
        { title: "FOUND", isRight: true, isOptional: true },
        { title: "NOTE", isOptional: true },
      ],
      settings,
    );
    if (value.config === null) {
      await output.line("");
      await output.line("What is found is not told by this way to Kafka.");
    }
    return 0;
  },
};

export const topicsInit: Command = {
  name: "topics init",
  summary: "makes the topics that are missing; changes none that exists",
  positionals: [],
  options: {},
  notes: ["Running it again does no harm. Exit code 1 when a topic could not be made."],
  async run({ api, output, isJson }) {
    let rows: z.output<typeof report>;
    try {
      rows = await api.post("/api/v1/admin/topics/init", undefined, report);
    } catch (error) {
      const how = error instanceof ApiError ? howToMake.safeParse(error.problem) : undefined;
      if (!(error instanceof ApiError) || !how?.success) throw error;
      if (isJson) await output.json(error.problem);
      else await tellHow(output, error, how.data);
      return 1;
    }
    const failed = rows.filter(({ result }) => result === "failed").length;
    if (isJson) await output.json(rows);
    else {
      await output.table(
        [{ title: "TOPIC" }, { title: "RESULT" }, { title: "NOTE", isOptional: true }],
        rows.map(({ name, result, reason, drift: found = [] }) => [
          name,
          stateCell(result),
          reason ?? noteOf(found, null),
        ]),
      );
      const results = [...new Set(rows.map(({ result }) => result))].map(
        (result) =>
          `${rows.filter((row) => row.result === result).length} ${result === "exists" ? "there already" : result}`,
      );
      await output.line("");
      await output.line(`${count(rows.length, "topic")}: ${results.join(", ")}.`);
    }
    return failed > 0 ? 1 : 0;
  },
};

async function tellHow(
  output: Output,
  error: ApiError,
  { missing, commands }: z.output<typeof howToMake>,
): Promise<void> {
  await output.table(
    [{ title: "MISSING TOPIC" }, { title: "PARTITIONS", isRight: true }],
    missing.map(({ name, partitions }) => [name, String(partitions)]),
  );
  for (const { tool, command } of commands) {
    await output.line("");
    await output.line(`With ${tool}:`);
    await output.line(`  ${command}`);
  }
  await output.line("");
  output.note(`weir: ${error.problem?.detail.split(". ")[0] ?? error.message}.`);
}

function settingRows(
  wanted: Record<string, string>,
  found: Record<string, string>,
  drifts: Drift[],
): Cell[][] {
  const names = new Set([...Object.keys(wanted), ...drifts.map(({ setting }) => setting)]);
  return [...names].map((name) => {
    const drifted = drifts.find(({ setting }) => setting === name);
    const value = drifted?.found ?? found[name] ?? "-";
    return [
      name,
      drifted?.wanted ?? wanted[name] ?? "-",
      drifted ? { text: value, tint: drifted.harmless ? "warn" : "bad" } : value,
      drifted ? (drifted.harmless ? "differs, harmless" : "differs") : "",
    ];
  });
}

function noteOf(drifts: readonly Drift[], underReplicated: readonly number[] | null | undefined): string {
  const parts = drifts.map(
    ({ setting, wanted, found, harmless }) =>
      `${setting} ${found}, wanted ${wanted}${harmless ? " (harmless)" : ""}`,
  );
  if (underReplicated && underReplicated.length > 0)
    parts.push(`under-replicated: partition ${underReplicated.join(", ")}`);
  return parts.join("; ");
}

function stateCell(state: string): Cell {
  const tints: Record<string, "good" | "warn" | "bad" | "dim"> = {
    ok: "good",
    exists: "dim",
    created: "good",
    drifted: "warn",
    missing: "bad",
    failed: "bad",
    unknown: "bad",
  };
  return { text: state, tint: tints[state] ?? "dim" };
}

function show(output: Output, cell: Cell): string {
  return typeof cell === "string" ? cell : output.tint(cell.text, cell.tint);
}

function numberOrDash(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : String(value);
}
