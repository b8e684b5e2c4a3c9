// Debian's collectd with write_http: value lists in collectd's own JSON. It gives its password only when a 401 asks for
// Basic, and drops what it could not send, so there is nothing to retry. The values are known ones, put in by its socket.
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeDataDir } from "../support/data-dir.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { devKey, until } from "../support/start.ts";
import { startDaemon } from "./client-process.ts";
import { metricsOf, untilConsumed } from "./read-back.ts";
import { packaged, pathOf } from "./tools.ts";

const collectd = packaged("collectd", "collectd-core libcurl3-gnutls libyajl2");

const configuration = (dir: string, url: string): string => `
Hostname "web-1"
FQDNLookup false
BaseDir "${dir}"
PIDFile "${dir}/pid"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin unixsock
LoadPlugin write_http
<Plugin unixsock>
  SocketFile "${dir}/socket"
  DeleteSocket true
</Plugin>
<Plugin write_http>
  <Node "weir">
    URL "${url}/api/v1/metrics"
    Format "JSON"
    User "collectd"
    Password "${devKey}"
  </Node>
</Plugin>
`;

/** Speaks collectd's plain text protocol: a line, and a line in answer. */
async function command(socketPath: string, lines: readonly string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    let answers = "";
    const socket = connect(socketPath, () => socket.write(lines.map((line) => `${line}\n`).join("")));
    socket.setEncoding("utf8").on("data", (text: string) => {
      answers += text;
      if (answers.split("\n").length > lines.length) socket.end();
    });
    socket.on("error", reject).on("close", () => resolve(answers));
  });
}

export function collectdSuite(url: () => string): void {
  describe.skipIf(!collectd.available)("write_http", () => {
    test("every value of every list, once", async () => {
      const data = makeDataDir("collectd");
      const proxy = await startFaultProxy({ target: url() });
      const config = join(data.path, "collectd.conf");
      writeFileSync(config, configuration(data.path, proxy.url));
      const daemon = startDaemon(pathOf(collectd), ["-f", "-C", config]);
      const plugin = `shop${randomUUID().replaceAll("-", "")}`;
      const seconds = (Math.floor(Date.now()) / 1000).toFixed(3);
      const timestamp = new Date(Math.round(Number(seconds) * 1000)).toISOString();
      try {
        const socket = join(data.path, "socket");
        await until(async () => await command(socket, ["LISTVAL"]).then(Boolean, () => false), 20_000);
        const answers = await command(socket, [
          `PUTVAL "web-1/${plugin}-north/gauge-orders" interval=10 ${seconds}:42.5`,
          `PUTVAL "web-1/${plugin}/derive-big" interval=10 ${seconds}:9007199254740991`,
          `PUTVAL "web-1/${plugin}/load" interval=10 ${seconds}:0.1:0.2:0.3`,
          "FLUSH plugin=write_http",
        ]);
        expect(answers).not.toMatch(/^-1/m);
        await daemon.stop();
        expect(
          proxy.exchanges.map(({ status, headers }) => [status, headers.authorization?.split(" ")[0]]),
        ).toEqual([
          [401, undefined],
          [202, "Basic"],
        ]);
        await untilConsumed(url());
        const common = { timestamp, labels: { host: "web-1" } };
        const rows = await Promise.all(
          ["gauge", "derive_total", "load_shortterm", "load_midterm", "load_longterm"].map((name) =>
            metricsOf(url(), `collectd_${plugin}_${name}`),
          ),
        );
        expect(rows).toEqual([
          [
            expect.objectContaining({
              timestamp,
              value: 42.5,
              labels: { host: "web-1", plugin_instance: "north", type_instance: "orders" },
            }),
          ],
          [
            expect.objectContaining({
              timestamp,
              value: 9007199254740991,
              labels: { host: "web-1", type_instance: "big" },
            }),
          ],
          [expect.objectContaining({ ...common, value: 0.1 })],
          [expect.objectContaining({ ...common, value: 0.2 })],
          [expect.objectContaining({ ...common, value: 0.3 })],
        ]);
      } catch (error) {
        const answers = proxy.exchanges.map(({ answer }) => answer?.body).join("\n");
        throw new Error(`collectd said:\n${daemon.output()}\nWeir answered:\n${answers}`, { cause: error });
      } finally {
        await daemon.stop();
        await proxy.close();
        data.remove();
      }
    });
  });
}
