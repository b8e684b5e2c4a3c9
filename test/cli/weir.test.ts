// `weir` as a process, against the real worker over the real local-kafka: what it prints, where, and its exit codes.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../cli/build.mjs";
import { openLocalKafka, type LocalKafka } from "../../local-kafka/broker.ts";
import { serveLocalKafka, type LocalKafkaServer } from "../../local-kafka/server.ts";
import { devKey, root, startWorkerProcess, until, type WorkerProcess } from "../support/start.ts";

const dataDir = mkdtempSync(join(tmpdir(), "weir-cli-"));
const program = join(root, "dist", "weir.mjs");
let kafka: LocalKafka;
let kafkaServer: LocalKafkaServer;
let worker: WorkerProcess;
const children: ChildProcess[] = [];

beforeAll(async () => {
  kafka = await openLocalKafka({ dataDir: join(dataDir, "kafka"), fsync: false });
  kafkaServer = await serveLocalKafka(kafka, "127.0.0.1", 0);
  [worker] = await Promise.all([startWorker({}), build(["cli"])]);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => {
  await worker?.stop();
  await kafkaServer?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function startWorker(bindings: Record<string, string>, port = 0, name = "d"): Promise<WorkerProcess> {
  return await startWorkerProcess({
    port,
    dataDir: join(dataDir, name),
    bindings: { ENVIRONMENT: "development", KAFKA_REST_URL: kafkaServer.url, ...bindings },
  });
}

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  ended: Promise<Ran>;
}

function start(
  args: string[],
  options: { input?: string | Buffer; env?: Record<string, string> } = {},
): Running {
  const { WEIR_URL: _, WEIR_KEY: __, NO_COLOR: ___, ...environment } = process.env;
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...environment, WEIR_URL: worker.url, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on("error", () => {}); // It may have ended without reading.
  child.stdin.end(options.input ?? "");
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

const weir = async (args: string[], options: Parameters<typeof start>[1] = {}): Promise<Ran> =>
  await start(args, options).ended;

let topics = 0;
async function makeTopic(partitions = 1): Promise<string> {
  const name = `cli.${++topics}`;
  await kafka.createTopic({ name, partitions });
  return name;
}

describe("weir topics", () => {
  it("makes, lists and describes the deployment's topics", async () => {
    const missing = await weir(["topics", "list"]);
    expect(missing).toMatchObject({ code: 0, stderr: "" });
    expect(missing.stdout).toMatch(/^TOPIC +PARTITIONS +STATE\nlogs\.raw +- +missing\n/);
    expect(missing.stdout).toContain("17 topics missing: `weir topics init` makes them.");
    expect(await weir(["topics", "describe", "logs.raw"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("make it by `weir topics init`") as string,
    });

    const made = await weir(["topics", "init"]);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(made.stdout).toMatch(/^TOPIC +RESULT\nlogs\.raw +created\n/);
    expect(made.stdout).toMatch(/\n17 topics: 17 created\.\n$/);
    const again = await weir(["topics", "init", "--json"]);
    const results = (JSON.parse(again.stdout) as { result: string }[]).map(({ result }) => result);
    expect(results).toEqual(Array.from({ length: 17 }, () => "exists"));

    const other = await makeTopic(2);
    const listed = await weir(["topics", "list", "--json"]);
    const rows = JSON.parse(listed.stdout) as { name: string; state: string }[];
    expect(rows.map(({ state }) => state)).toEqual(Array.from({ length: 17 }, () => "ok"));
    expect((await weir(["topics", "list", "-a"])).stdout).toMatch(
      new RegExp(`\n${other} +\\S+ +unmanaged\n`),
    );

    const described = await weir(["topics", "describe", "logs.raw"]);
    expect(described.stdout).toMatch(/^logs\.raw {2}ok\n\nPARTITION +START +END +MESSAGES\n +0 +0 +0 +0\n/);
    expect(described.stdout).toMatch(/\nretention\.ms +604800000\n/);
    expect(JSON.parse((await weir(["topics", "describe", "logs.raw", "--json"])).stdout)).toMatchObject({
      name: "logs.raw",
      state: "ok",
    });
  });

  it("tells how to make them where the transport cannot", async () => {
    // As Redpanda's HTTP proxy, which has no /v3 (docs.redpanda.com, "HTTP Proxy API": v2's endpoints alone).
    const proxy: Server = createServer((request, response) => {
      if (request.url?.startsWith("/v3")) {
        response.writeHead(404, { "content-type": "application/json" }).end("{}");
        return;
      }
      const accept = request.headers.accept ?? "";
      const pass = async () => {
        const answer = await fetch(`${kafkaServer.url}${request.url}`, { headers: { accept } });
        response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
      };
      void pass();
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const other = await startWorker({ KAFKA_REST_URL: url, TOPIC_TEMPLATE: "x.{signal}.{stage}" }, 0, "v2");
    try {
      const told = await weir(["topics", "init", "--url", other.url]);
      expect(told.code).toBe(1);
      expect(told.stdout).toMatch(/^MISSING TOPIC +PARTITIONS\nx\.logs\.raw +3\n/);
      expect(told.stdout).toMatch(/With rpk:\n {2}rpk topic create x\.logs\.raw /);
      expect(told.stderr).toMatch(
        /^weir: KAFKA_TRANSPORT=rest-v2 cannot make topics, and 1[67] of 17 are missing\.\n$/,
      );
      const json = await weir(["topics", "init", "--json", "--url", other.url]);
      expect(json.code).toBe(1);
      expect(JSON.parse(json.stdout)).toMatchObject({ status: 501, code: "unsupported" });
    } finally {
      await other.stop();
      proxy.close();
    }
  });
});

describe("weir produce and consume", () => {
  it("bring a message there and back", async () => {
    const topic = await makeTopic();
    expect(await weir(["produce", topic, "привет 🚀", "--key", "k"])).toEqual({
      code: 0,
      stdout: `${topic}: partition 0, offset 0\n`,
      stderr: "",
    });
    expect(await weir(["consume", topic])).toMatchObject({ code: 0, stdout: "0:0  k  привет 🚀\n" });
    const json = await weir(["consume", topic, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ partition: 0, offset: 0, key: "k", value: "привет 🚀" });
  });

  it("take each line of stdin, whatever its bytes, and never let one move the cursor", async () => {
    const topic = await makeTopic();
    const input = Buffer.concat([
      Buffer.from("one\n\n\u001b[31mtwo\r\n"),
      Buffer.from([0xff, 0x0a]),
      Buffer.from("last"),
    ]);
    expect(await weir(["produce", topic], { input })).toEqual({
      code: 0,
      stdout: `4 messages written to ${topic}\n`,
      stderr: "",
    });
    const { stdout } = await weir(["consume", topic, "--from", "earliest"]);
    expect(stdout).toBe("0:0  -  one\n0:1  -  \\x1b[31mtwo\\r\n0:2  -  base64:/w==\n0:3  -  last\n");
  });

  it("carry many lines in order, and read them all, the first few, the last few", async () => {
    const topic = await makeTopic();
    const input = Array.from({ length: 3_000 }, (_, i) => `${i}`).join("\n");
    expect((await weir(["produce", topic], { input })).stdout).toBe(`3,000 messages written to ${topic}\n`);
    const valuesOf = ({ stdout }: Ran) =>
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { value: string }).value);
    const all = await weir(["consume", topic, "--from", "earliest", "--json"]);
    expect(valuesOf(all)).toEqual(input.split("\n"));
    expect(valuesOf(await weir(["consume", topic, "--from", "earliest", "--json", "-n", "2"]))).toEqual([
      "0",
      "1",
    ]);
    expect(valuesOf(await weir(["consume", topic, "--json", "-n", "2"]))).toEqual(["2998", "2999"]);
    expect(valuesOf(await weir(["consume", topic, "--from", "2990", "-p", "0", "--json"]))).toHaveLength(10);
  });

  it("say which line was refused, and write the others", async () => {
    const topic = await makeTopic();
    const input = `good\n${"x".repeat(700_001)}\nalso good\n`;
    const result = await weir(["produce", topic], { input });
    expect(result).toEqual({
      code: 1,
      stdout: `2 of 3 messages written to ${topic}\n`,
      stderr: "weir: line 2: is larger than 700000 bytes (record_too_large)\n",
    });
    const json = await weir(["produce", topic, "--json", "-p", "5"], { input: "a\nb" });
    expect(json.code).toBe(1);
    expect(
      json.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { line: 1, status: "rejected", reason: "unknown_topic" },
      { line: 2, status: "rejected", reason: "unknown_topic" },
    ]);
    const header = await weir(["produce", topic, "x", "-H", "a=b", "-H", "c=d=e"]);
    expect(header).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("cannot send headers") as string,
    });
  });

  it("follow, through a restart of the server, until Ctrl-C", async () => {
    const topic = await makeTopic(3);
    const own = await startWorker({}, 0, "restart");
    const { port } = new URL(own.url);
    let running = own;
    try {
      const follower = start(["consume", topic, "-f", "--from", "earliest", "--url", own.url]);
      const write = async (message: string) => expect((await weir(["produce", topic, message])).code).toBe(0);
      await write("before");
      await until(() => follower.stdout().includes("before"), 10_000);
      await own.kill();
      await until(() => follower.stderr().includes("waiting for it"), 10_000);
      await write("meanwhile");
      running = await startWorker({}, Number(port), "restart");
      await write("after");
      await until(() => /meanwhile[\s\S]*after|after[\s\S]*meanwhile/.test(follower.stdout()), 20_000);
      expect(follower.stderr()).toMatch(/does not answer[^\n]*waiting for it\nweir: it answers again\n$/);
      follower.child.kill("SIGINT");
      const { code, stdout } = await follower.ended;
      expect(code).toBe(0);
      expect(stdout.match(/before|meanwhile|after/g)?.toSorted()).toEqual(["after", "before", "meanwhile"]);
    } finally {
      await running.stop();
    }
  });

  it("follow only what comes when nothing else is said, and stop after --limit", async () => {
    const topic = await makeTopic();
    await weir(["produce", topic, "old"]);
    const follower = start(["consume", topic, "-f", "-n", "1"]);
    // Where it begins is known once it has asked; until then what is written counts as old.
    let written = 0;
    while (follower.child.exitCode === null) {
      await weir(["produce", topic, `new ${++written}`]);
    }
    const { code, stdout } = await follower.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^0:\d+ {2}- {2}new \d+\n$/);
  });

  it("end in silence when their reader goes", async () => {
    const topic = await makeTopic();
    await weir(["produce", topic], { input: "x\n".repeat(2_000) });
    const running = start(["consume", topic, "--from", "earliest"]);
    running.child.stdout!.once("data", () => running.child.stdout!.destroy());
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("what goes wrong", () => {
  it("is told with what to do next, exit code 1", async () => {
    for (const [args, env, message] of [
      [["topics", "list"], { WEIR_KEY: "wrong" }, "the key in WEIR_KEY is not valid at http"],
      [["topics", "list", "--api-key", "wrong"], {}, "the key of --api-key is not valid at http"],
      [["topics", "list", "--url", "http://127.0.0.1:1"], {}, "is `npm start` running?"],
      [["consume", "no.such"], {}, "does not exist"],
      [["produce", "no.such", "x"], {}, "does not exist"],
      [["produce", "no.such"], {}, ""],
      [["topics", "list", "--url", `${kafkaServer.url}/`], {}, "is it a Weir?"],
    ] as const) {
      const result = await weir([...args], { env, input: args[0] === "produce" ? "a line" : "" });
      expect(result, args.join(" ")).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).toMatch(/^weir: /);
      expect(result.stderr).toContain(message);
      expect(result.stderr).not.toContain("wrong");
      expect(result.stderr).not.toMatch(/\n {4}at /);
    }
  });

  it("in the call itself is exit code 2, with a pointer to the help", async () => {
    for (const args of [
      ["consume"],
      ["consume", "t", "more"],
      ["consume", "t", "--form", "earliest"],
      ["consume", "t", "--from", "yesterday"],
      ["consume", "t", "--limit", "0"],
      ["consume", "t", "--limit", "1", "--limit", "2"],
      ["produce", "t", "x", "--header", "none"],
      ["topics"],
      ["topics", "destroy"],
      ["destroy"],
      ["destroy", "--help"],
      ["help", "destroy"],
      ["help", "alerts", "destroy"],
      ["alerts", "rule", "destroy"],
      ["--json", "topics", "list"],
      ["topics", "list", "--url", "ftp://x"],
    ]) {
      const result = await weir(args);
      expect(result, args.join(" ")).toMatchObject({ code: 2, stdout: "" });
      expect(result.stderr).toMatch(/^weir: .+\nSee weir [a-z ]*--help\.\n$/);
    }
  });

  it("prints no colour into a pipe, and takes the development key to this machine only", async () => {
    expect((await weir(["topics", "list"])).stdout).not.toContain("\u001b");
    const seen: (string | undefined)[] = [];
    const elsewhere = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401).end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, resolve));
    const { port } = elsewhere.address() as AddressInfo;
    await weir(["topics", "describe", "t", "--url", `http://127.0.0.1:${port}`]);
    const strange = await weir(["topics", "describe", "t", "--url", `http://0.0.0.0:${port}`]);
    elsewhere.close();
    expect(seen).toEqual([`Bearer ${devKey}`, undefined]);
    expect(strange.stderr).toContain("asks for a key: set WEIR_KEY");
  });
});

describe("weir itself", () => {
  it("tells its version and how it is used", async () => {
    expect(await weir(["--version"])).toMatchObject({ code: 0, stdout: "weir 0.1.0\n" });
    expect(await weir(["--help"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("topics describe  ") as string,
      stderr: "",
    });
    expect((await weir([])).code).toBe(2);
    const help = await weir(["consume", "--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toMatch(
      /^weir consume: .*\n\nUsage: weir consume TOPIC \[options\]\n\n {2}-f, --follow /,
    );
    expect((await weir(["help", "consume"])).stdout).toBe(help.stdout);
    for (const args of [
      ["help", "alerts", "rule"],
      ["alerts", "rule", "--help"],
    ]) {
      const group = await weir(args);
      expect(group).toMatchObject({ code: 0, stderr: "" });
      expect(group.stdout.match(/^weir [a-z ]+: /gm)).toHaveLength(6);
      expect(group.stdout).toMatch(/^weir alerts rule create: /);
    }
    expect((await weir(["--json", "topics", "list"])).stderr).toContain("options go behind the command");
    expect((await weir(["alerts", "rule", "make"])).stderr).toContain(
      "weir alerts rule needs one of create, test, edit, enable, disable, delete, not make",
    );
    for (const line of `${help.stdout}${(await weir(["--help"])).stdout}`.split("\n"))
      expect(line.length, line).toBeLessThanOrEqual(120);
  });
});
