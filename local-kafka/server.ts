/** Puts an open broker on a TCP port, and takes it off again without waiting for idle or polling connections. */
import type { Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createAdaptorServer } from "@hono/node-server";
import type { LocalKafka } from "./broker.ts";

/** For answers that are ready to leave the machine before their connections are cut. */
const LAST_ANSWERS_MS = 50;

/** PEM, for HTTPS. */
export interface Tls {
  cert: string;
  key: string;
}

export interface LocalKafkaServer {
  /** As clients on this machine reach it. */
  url: string;
  /** Stops listening, closes the broker (which answers what is under way), then ends every connection. */
  close(): Promise<void>;
}

/** Rejects with Node's error (EADDRINUSE and the like) when the port cannot be had. Port 0 takes a free one. */
export async function serveLocalKafka(
  kafka: LocalKafka,
  host: string,
  port: number,
  tls?: Tls,
): Promise<LocalKafkaServer> {
  const secure = tls && { createServer: createHttpsServer, serverOptions: tls };
  const server = createAdaptorServer({ fetch: kafka.app.fetch, ...secure }) as Server;
  // Longer than clients keep idle connections, so that it is they who drop them, not we under their next request.
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return {
    url: `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${address.port}`,
    async close() {
      const closed = new Promise((resolve) => {
        server.close(resolve);
      });
      await kafka.close();
      await delay(LAST_ANSWERS_MS);
      server.closeAllConnections();
      await closed;
    },
  };
}
