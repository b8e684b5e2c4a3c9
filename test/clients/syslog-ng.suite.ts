// Debian's syslog-ng with its http() destination: JSON arrays of RFC 5424 messages that a test sends to it over TCP. It
// retries by itself; with an id of its own on every message, a lost answer is harmless too.
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeDataDir } from "../support/data-dir.ts";
import { type Fault, startFaultProxy } from "../support/fault-proxy.ts";
import { freePorts } from "../support/real-kafka/ports.ts";
import { devKey, until } from "../support/start.ts";
import { startDaemon } from "./client-process.ts";
import { logsOf, nanosOf, untilConsumed } from "./read-back.ts";
import { packaged, pathOf } from "./tools.ts";

const syslogNg = packaged("syslog-ng", "syslog-ng-core syslog-ng-mod-http");
const MESSAGES = 30;
const SEVERITIES = ["EMERG", "ALERT", "CRITICAL", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG"];

const configuration = (port: number, url: string): string => `@version: 3.38
options { stats-freq(0); keep-hostname(yes); frac-digits(6); time-reopen(1); use-uniqid(yes); };
source in { network(ip("127.0.0.1") port(${port}) transport("tcp") flags(syslog-protocol)); };
destination weir {
  http(
    url("${url}/api/v1/logs")
    method("POST")
    headers("Authorization: Bearer ${devKey}", "Content-Type: application/json")
    body-prefix("[") delimiter(",") body-suffix("]")
    body('$(format-json message=$MESSAGE level=$LEVEL service=$PROGRAM host=$HOST timestamp=$ISODATE id=$UNIQID .SDATA.*)')
    batch-lines(10) batch-timeout(200) workers(1) retries(10)
  );
};
log { source(in); destination(weir); flags(flow-control); };
`;

async function write(port: number, lines: readonly string[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(lines.join("")));
    socket.on("error", reject).on("close", () => resolve());
  });
}

export function syslogNgSuite(url: () => string): void {
  describe.skipIf(!syslogNg.available)("http()", () => {
    const ways: [string, Fault[]][] = [
      ["through 429 and 503", [429, 503]],
      ["whose first answer is lost", ["lost"]],
    ];
    for (const [way, faults] of ways) {
      test(`every message is there once: ${way}`, async () => {
        const data = makeDataDir("syslog-ng");
        const proxy = await startFaultProxy({ target: url(), faults });
        const [port = 0] = await freePorts(1);
        const config = join(data.path, "syslog-ng.conf");
        writeFileSync(config, configuration(port, proxy.url));
        const at = (name: string): string => join(data.path, name);
        const daemon = startDaemon(pathOf(syslogNg), [
          "--foreground",
          "--no-caps",
          `--cfgfile=${config}`,
          `--persist-file=${at("persist")}`,
          `--pidfile=${at("pid")}`,
          `--control=${at("control")}`,
        ]);
        const service = `s${randomUUID().replaceAll("-", "")}`;
        const now = Date.now();
        const timeOf = (i: number): string => new Date(now + i).toISOString().replace("Z", "457Z");
        const lines = Array.from({ length: MESSAGES }, (__, i) => {
          // Facility 1 (user), and each severity in turn.
          const structured = `[ex@32473 big="9007199254740993" uni="é \\"x\\""]`;
          return `<${8 + (i % 8)}>1 ${timeOf(i)} web-ü ${service} 77 ID47 ${structured} \ufeffwörd ${i} 日本語 🎉\n`;
        });
        try {
          await until(
            () =>
              write(port, []).then(
                () => true,
                () => false,
              ),
            20_000,
          );
          await write(port, lines);
          await until(async () => (await logsOf(url(), service)).length >= MESSAGES, 30_000);
          await daemon.stop();
          await untilConsumed(url());
          const rows = await logsOf(url(), service);
          expect(rows.map(({ message }) => message)).toEqual(lines.map((__, i) => `wörd ${i} 日本語 🎉`));
          for (const [i, row] of rows.entries()) {
            expect(row).toMatchObject({
              level: SEVERITIES[i % 8],
              host: "web-ü",
              attributes: { _SDATA: { "ex@32473": { big: "9007199254740993", uni: 'é "x"' } } },
            });
            expect(nanosOf(row.timestamp)).toBe(nanosOf(timeOf(i)));
          }
          const statuses = proxy.exchanges.map(({ status }) => status);
          expect(statuses.slice(0, faults.length)).toEqual(
            faults.map((fault) => (fault === "lost" ? 503 : fault)),
          );
          expect(new Set(statuses.slice(faults.length))).toEqual(new Set([202]));
        } catch (error) {
          const answers = proxy.exchanges.map(({ status, answer }) => `${status} ${answer?.body}`).join("\n");
          throw new Error(`syslog-ng said:\n${daemon.output()}\nthe answers were:\n${answers}`, {
            cause: error,
          });
        } finally {
          await daemon.stop();
          await proxy.close();
          data.remove();
        }
      });
    }
  });
}
