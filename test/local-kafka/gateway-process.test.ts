/** The gateway as a process, as it is built: its flags, its one-line errors, HTTPS, and no password where ps shows it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { kcatRead } from "../support/kcat.ts";
import { type RealKafka, realKafka, startRealKafka } from "../support/real-kafka.ts";
import { runTool } from "../support/real-kafka/java-process.ts";
import { BINARY_V2, base64 } from "./fixture.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe.skipIf(!realKafka.available)(`gateway process ${realKafka.why}`, () => {
  let kafka: RealKafka;
  let dir: string;
  let program: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    // Inside the repository, so that what is not bundled is found.
    dir = await mkdtemp(join(root, "node_modules", ".gateway-"));
    program = join(dir, "local-kafka.mjs");
    await build({
      entryPoints: [join(root, "local-kafka/main.ts")],
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: program,
      logLevel: "error",
      banner: {
        js: `import { createRequire as weirCreateRequire } from "node:module"; const require = weirCreateRequire(import.meta.url);`,
      },
    });
    kafka = await startRealKafka({ sasl: true, tls: true });
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });
  afterAll(async () => {
    await kafka?.close();
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });

  function spawnGateway(args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [program, "--port", "0", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    children.push(child);
    return child;
  }

  async function start(args: string[], env: Record<string, string> = {}) {
    const child = spawnGateway(args, env);
    for await (const chunk of child.stdout) {
      const url = /ready on (\S+)/.exec(String(chunk))?.[1];
      if (url !== undefined) return { url, pid: child.pid ?? 0 };
    }
    throw new Error("the gateway ended before it was ready");
  }

  async function fail(args: string[], env: Record<string, string> = {}) {
    const child = spawnGateway(args, env);
    let stderr = "";
    child.stderr.on("data", (chunk) => (stderr += chunk));
    const [code] = (await once(child, "close")) as [number];
    return { code, stderr };
  }

  const sasl = () => ["--sasl-mechanism", "SCRAM-SHA-256", "--sasl-username", kafka.sasl.username];

  it("makes its topics and produces over SASL and TLS, with the password in the environment", async () => {
    const ca = join(dir, "ca.pem");
    await writeFile(ca, kafka.tls.caPem);
    const args = [
      "--bootstrap",
      kafka.tls.bootstrap,
      "--tls",
      "--tls-ca",
      ca,
      "--topic",
      "made:2",
      ...sasl(),
    ];
    const { url, pid } = await start(args, { KAFKA_SASL_PASSWORD: kafka.sasl.password });
    const body = JSON.stringify({ records: [{ value: base64("x"), partition: 1 }] });
    const answer = await fetch(`${url}/topics/made`, {
      method: "POST",
      headers: { "content-type": BINARY_V2 },
      body,
    });
    expect(await answer.json()).toEqual({ offsets: [{ partition: 1, offset: 0 }] });
    expect(await kcatRead(kafka.bootstrap, "made")).toMatchObject([
      { partition: 1, value: Buffer.from("x") },
    ]);
    expect(execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" })).not.toContain(
      kafka.sasl.password,
    );
  });

  it("a wrong password, and an authority it does not know, end the start with one line", async () => {
    const wrong = await fail(["--bootstrap", kafka.sasl.bootstrap, ...sasl()], {
      KAFKA_SASL_PASSWORD: "wrong-one",
    });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toMatch(/^local-kafka: sasl_authentication_failed: .+\n$/);
    expect(wrong.stderr).not.toContain("wrong-one");
    const unknown = await fail(["--bootstrap", kafka.tls.bootstrap, "--tls", "--topic", "t:1", ...sasl()], {
      KAFKA_SASL_PASSWORD: kafka.sasl.password,
    });
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("self-signed certificate");
  });

  it("serves HTTPS", async () => {
    const store = join(dir, "http.p12");
    const common = ["-keystore", store, "-storetype", "PKCS12", "-storepass", "secret-1", "-alias", "a"];
    const subject = ["-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1"];
    await runTool("keytool", ["-genkeypair", ...common, "-keyalg", "EC", ...subject]);
    const [cert, key] = [join(dir, "http.crt"), join(dir, "http.key")];
    await runTool("openssl", ["pkcs12", "-in", store, "-passin", "pass:secret-1", "-nokeys", "-out", cert]);
    await runTool("openssl", [
      "pkcs12",
      "-in",
      store,
      "-passin",
      "pass:secret-1",
      "-nocerts",
      "-nodes",
      "-out",
      key,
    ]);
    const { url } = await start([
      "--bootstrap",
      kafka.bootstrap,
      "--http-tls-cert",
      cert,
      "--http-tls-key",
      key,
    ]);
    expect(url).toMatch(/^https:/);
    const status = await new Promise((resolve, reject) => {
      request(`${url}/topics`, { ca: readFileSync(cert) }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on("error", reject)
        .end();
    });
    expect(status).toBe(200);
  });
});
