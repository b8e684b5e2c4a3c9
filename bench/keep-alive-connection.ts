// One kept-open HTTP/1.1 connection that sends ready-made requests and reads their answers, one at a time. A load
// generator made of Node's own client takes more CPU than the worker it should load (on two cores it would be
// measured too). Takes only what workerd answers here: a status line, headers, a Content-Length.
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

export type Answer = { status: number; body: string };

const HEAD_END = "\r\n\r\n";

export class KeepAliveConnection {
  readonly #socket: Socket;
  #received = "";
  #waiting: { resolve: (answer: Answer) => void; reject: (reason: Error) => void } | undefined;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  static open(url: string, timeoutMs: number): Promise<KeepAliveConnection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new KeepAliveConnection(socket, timeoutMs));
      });
    });
  }

  /** @throws when the connection breaks or the answer is of a form not taken here */
  send(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#socket.destroyed) this.#fail(new Error("the connection was closed"));
      else this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    // One byte, one character: lengths are in bytes.
    this.#received += chunk.toString("latin1");
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = this.#received.slice(0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) return this.#fail(new Error("an answer without Content-Length"));
    const bodyStart = headEnd + HEAD_END.length;
    const end = bodyStart + Number(length);
    if (this.#received.length < end) return;
    const answer = { status: Number(head.slice(9, 12)), body: this.#received.slice(bodyStart, end) };
    this.#received = this.#received.slice(end);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }

  #fail(reason: Error): void {
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}

/** The bytes of a POST as they go over the wire. */
export function encodePost(url: string, path: string, headers: Record<string, string>, body: Buffer): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `Host: ${new URL(url).host}`,
    `Content-Length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}${HEAD_END}`), body]);
}
