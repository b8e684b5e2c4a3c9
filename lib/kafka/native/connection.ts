// One connection to one broker: the library's, with a deadline for every call, an early end where what answers is no
// Kafka, and KafkaErrors in place of its own. A call that gets no answer in time takes the connection with it: what
// it asked for may still happen, and nothing may be sent behind it.
import { Connection as LibraryConnection, type ConnectionOptions, Writer } from "@platformatic/kafka";
import type { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { KafkaError } from "../errors.ts";
import { connectionFault, strangeAnswer, type ConnectionFacts } from "./connection-fault.ts";
import type { Message } from "./message.ts";

export interface ConnectOptions {
  clientId: string;
  tls: boolean;
  tlsCaPem?: string | undefined;
  sasl?:
    | { mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512"; username: string; password: string }
    | undefined;
}

/** A broker that takes this long to accept a connection is not there. */
const CONNECT_TIMEOUT_MS = 3_000;
/** We bound what is in flight ourselves; the library's own queue would hide a request from its deadline. */
const LIBRARY_IN_FLIGHT = 10_000;

export interface Address {
  host: string;
  port: number;
}

export function addressText({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export class Connection {
  readonly #library: LibraryConnection;
  readonly #facts: ConnectionFacts;
  /** Why it ended, where we know more than the socket. */
  #ended: KafkaError | undefined;
  isOpen = false;
  onClose: () => void = () => undefined;

  private constructor(address: Address, options: ConnectOptions) {
    this.#library = new LibraryConnection(options.clientId, libraryOptions(address, options));
    this.#facts = {
      address: addressText(address),
      tls: options.tls,
      sasl: options.sasl !== undefined,
      stage: "connecting",
      firstBytes: undefined,
    };
  }

  /** @throws KafkaError */
  static async open(address: Address, options: ConnectOptions): Promise<Connection> {
    const connection = new Connection(address, options);
    await connection.#connect(address, options);
    return connection;
  }

  async #connect({ host, port }: Address, { tls }: ConnectOptions): Promise<void> {
    // Without a listener an 'error' event would end the process; each is told through a call's rejection as well.
    this.#library.on("error", () => undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        // Not by way of the socket's end: workerd tells none of a TLS handshake that was given up.
        timer = setTimeout(() => {
          const settings = tls ? "KAFKA_BROKERS and KAFKA_TLS" : "KAFKA_BROKERS";
          const text = `${this.#facts.address} did not answer within ${CONNECT_TIMEOUT_MS} ms; see ${settings}`;
          reject(new KafkaError("unreachable", text));
        }, CONNECT_TIMEOUT_MS);
        this.#library.on("close", () => reject(new Error("closed")));
        void this.#library.connect(host, port, (error) => (error ? reject(error) : resolve()));
        const { socket } = this.#library;
        // The library takes its own listeners off a socket that has failed once; a socket may fail twice.
        socket.on("error", () => undefined);
        socket.once("close", () => reject(new Error("closed")));
        socket.once(tls ? "secureConnect" : "connect", () => (this.#facts.stage = "logging in"));
        // Before the library's: an HTTP answer read as a frame would be one of a gigabyte, waited for in silence.
        socket.once("data", (bytes: Buffer) => {
          this.#facts.firstBytes = bytes;
          const strange = strangeAnswer(this.#facts);
          if (strange) this.destroy(strange);
        });
      });
      this.#facts.stage = "connected";
      this.isOpen = true;
      this.#library.socket.once("close", () => this.#end());
    } catch (error) {
      this.#library.socket?.destroy();
      throw this.#ended ?? connectionFault(this.#facts, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @throws KafkaError `timeout`, which closes the connection, or what ended it */
  async call<Request, Response>(
    message: Message<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<Response>((resolve, reject) => {
        timer = setTimeout(() => {
          const text = `${this.#facts.address} did not answer ${message.name} within ${timeoutMs} ms`;
          const error = new KafkaError("timeout", text);
          reject(error);
          this.destroy(error);
        }, timeoutMs);
        this.#library.send<Response>(
          message.key,
          message.version,
          () => {
            const writer = Writer.create();
            message.write(writer, request);
            return writer;
          },
          (_correlation, _key, _version, reader) => message.read(reader),
          false,
          false,
          (error, answer) => (error ? reject(error) : resolve(answer)),
        );
      });
    } catch (error) {
      if (this.#ended) throw this.#ended;
      // The answer came, and could not be read.
      if (this.isOpen && !isLibraryNetworkError(error) && !(error instanceof KafkaError)) {
        const bad = new KafkaError(
          "bad_answer",
          `${this.#facts.address} answered ${message.name} in a form that is not Kafka's`,
          { cause: error },
        );
        this.destroy(bad);
        throw bad;
      }
      throw connectionFault(this.#facts, error);
    } finally {
      clearTimeout(timer);
    }
  }

  destroy(reason: KafkaError): void {
    this.#ended ??= reason;
    this.#library.socket?.destroy();
    this.#end();
  }

  #end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onClose();
  }
}

function isLibraryNetworkError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "PLT_KFK_NETWORK";
}

function libraryOptions({ host }: Address, { tls, tlsCaPem, sasl }: ConnectOptions): ConnectionOptions {
  return {
    // Ours ends the login, too.
    connectTimeout: 2 * CONNECT_TIMEOUT_MS,
    maxInflights: LIBRARY_IN_FLIGHT,
    ...(sasl && { sasl }),
    // A name for the certificate may not be an IP address (RFC 6066, section 3).
    ...(tls && { tls: tlsCaPem === undefined ? {} : { ca: tlsCaPem }, tlsServerName: isIP(host) === 0 }),
  };
}
