// Says whether a loopback port is free before anything is started on it, so that a taken one is a line and not a crash.
import { connect, createServer } from "node:net";

const connectTimeoutMs = 500;

/** @returns true also for port 0, which stands for any free one */
export async function isPortFree(port: number): Promise<boolean> {
  if (port === 0) return true;
  // On macOS one may listen on 127.0.0.1 beside a listener on all addresses; asking first finds that one too.
  return !(await answers(port)) && (await canListen(port));
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(connectTimeoutMs, () => settle(false));
    socket.once("connect", () => settle(true)).once("error", () => settle(false));
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
