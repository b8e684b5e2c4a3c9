// A TCP proxy in front of one Kafka broker that fails on demand. It listens before the broker runs, because the broker
// must advertise its port; connections are refused until `forwardTo` was called. It reads the frames of Kafka's
// protocol (unencrypted listeners only), so that the answer it loses is the answer to a produce request and no other.
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";

const PRODUCE = 0;

export interface TcpFaults {
  /** What the broker is to advertise. */
  readonly port: number;
  forwardTo(port: number): void;
  /** The next request of this kind (Kafka's api key; default: produce) goes through; its answer is dropped, its connection cut. */
  loseNextAnswer(apiKey?: number): void;
  /** From now on nothing passes, either way; connections stay open and new ones are accepted. */
  hang(): void;
  /** What was held back goes on. */
  heal(): void;
  /** New connections pass; those that hang stay silent for ever, as behind a router that forgot them. */
  healNewOnly(): void;
  /** Cuts every connection; new ones are taken. */
  cut(): void;
  close(): Promise<void>;
}

export async function startTcpFaults(): Promise<TcpFaults> {
  let target: number | undefined;
  let isHanging = false;
  let losing: number | undefined;
  const links = new Set<{ client: Socket; broker: Socket }>();

  const server: Server = createServer((client) => {
    if (target === undefined) return void client.destroy();
    const broker = connect({ host: "127.0.0.1", port: target });
    const link = { client, broker };
    links.add(link);
    const end = (): void => {
      links.delete(link);
      client.destroy();
      broker.destroy();
    };
    let doomed: number | undefined;
    const requests = frameReader((frame) => {
      if (frame.readInt16BE(0) !== losing) return true;
      losing = undefined;
      doomed = frame.readInt32BE(4);
      return true;
    });
    const answers = frameReader((frame) => frame.readInt32BE(0) !== doomed);
    const pass = (from: Socket, to: Socket, read: FrameReader): void => {
      from.setNoDelay(true);
      from.on("data", (chunk) => {
        const { frames, isCut } = read(chunk);
        if (frames.length > 0) to.write(frames);
        if (isCut) end();
      });
      from.on("error", end);
      from.on("close", end);
    };
    pass(client, broker, requests);
    pass(broker, client, answers);
    if (isHanging) pause(link);
  });
  server.listen(0, "127.0.0.1");
  await new Promise<void>((resolve, reject) => server.once("listening", resolve).once("error", reject));

  return {
    port: (server.address() as AddressInfo).port,
    forwardTo: (port) => void (target = port),
    loseNextAnswer: (apiKey = PRODUCE) => void (losing = apiKey),
    hang() {
      isHanging = true;
      for (const link of links) pause(link);
    },
    heal() {
      isHanging = false;
      for (const { client, broker } of links) {
        client.resume();
        broker.resume();
      }
    },
    healNewOnly: () => void (isHanging = false),
    cut() {
      for (const { client } of links) client.destroy();
    },
    async close() {
      for (const { client } of links) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pause({ client, broker }: { client: Socket; broker: Socket }): void {
  client.pause();
  broker.pause();
}

type FrameReader = (chunk: Buffer) => { frames: Buffer; isCut: boolean };

/** Passes whole frames (INT32 length, body) for which `keep` is true; the first other one ends the connection. */
function frameReader(keep: (body: Buffer) => boolean): FrameReader {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let passed = 0;
    let isCut = false;
    while (!isCut && held.length - passed >= 4) {
      const next = passed + 4 + held.readInt32BE(passed);
      if (next > held.length) break;
      if (keep(held.subarray(passed + 4, next))) passed = next;
      else isCut = true;
    }
    const frames = held.subarray(0, passed);
    held = held.subarray(passed);
    return { frames, isCut };
  };
}
