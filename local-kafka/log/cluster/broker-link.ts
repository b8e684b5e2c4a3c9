/**
 * The way to one broker: connections that open when they are needed, again and at once after they broke, and a deadline
 * for every call. Kafka answers a connection's requests one after the other, so that a read that waits for data gets a
 * connection of its own for the time (a lane); all else shares one. A call that runs out of time takes its connection with it.
 */
import { type API, Connection, type ConnectionOptions } from "@platformatic/kafka";
import { KafkaError } from "../kafka-error.ts";
import { answerIn, connectionError, requestError } from "./cluster-errors.ts";
import { within } from "./deadline.ts";

const MAX_IDLE_LANES = 16;
const MAX_IN_FLIGHT = 256;
/** TCP, TLS and SASL together. */
const CONNECT_TIMEOUT_MS = 2_000;

export interface Address {
  host: string;
  port: number;
}

export type Security = Pick<ConnectionOptions, "sasl" | "tls" | "tlsServerName">;

export class BrokerLink {
  readonly address: string;
  readonly #host: string;
  readonly #port: number;
  readonly #security: Security;
  readonly #open = new Set<Connection>();
  readonly #idleLanes: Connection[] = [];
  #shared: Promise<Connection> | undefined;
  /** What `#shared` resolved with. */
  #current: Connection | undefined;

  constructor({ host, port }: Address, security: Security) {
    this.#host = host;
    this.#port = port;
    this.#security = security;
    this.address = `${host}:${port}`;
  }

  /** Resolves with the answer, whatever error it holds. Rejects with KafkaError; broker_not_available: nothing was sent. */
  async call<Args extends unknown[], Answer>(
    api: API<Args, Answer>,
    args: Args,
    timeoutMs: number,
  ): Promise<Answer> {
    const began = performance.now();
    this.#shared ??= this.#openShared();
    const connection = await within(this.#shared, timeoutMs, this.#late("broker_not_available"));
    return await this.#send(connection, api, args, timeoutMs - (performance.now() - began));
  }

  /** As `call`, on a connection that nothing else uses meanwhile. */
  async callAlone<Args extends unknown[], Answer>(
    api: API<Args, Answer>,
    args: Args,
    timeoutMs: number,
  ): Promise<Answer> {
    const began = performance.now();
    const lane = this.#idleLanes.pop() ?? (await this.#connect());
    const answer = await this.#send(lane, api, args, timeoutMs - (performance.now() - began));
    if (lane.isConnected() && this.#idleLanes.length < MAX_IDLE_LANES) this.#idleLanes.push(lane);
    else lane.socket.destroy();
    return answer;
  }

  close(): void {
    for (const connection of this.#open) connection.socket.destroy();
  }

  async #openShared(): Promise<Connection> {
    try {
      return (this.#current = await this.#connect());
    } catch (error) {
      this.#shared = undefined;
      throw error;
    }
  }

  async #connect(): Promise<Connection> {
    const connection = new Connection("local-kafka", {
      ...this.#security,
      connectTimeout: CONNECT_TIMEOUT_MS,
      maxInflights: MAX_IN_FLIGHT,
    });
    // Without a listener an error event would end the process; whoever waits for the connection is told.
    connection.on("error", () => undefined);
    connection.on("close", () => this.#forget(connection));
    try {
      const opening = connection.connect(this.#host, this.#port) ?? Promise.resolve();
      this.#open.add(connection);
      await within(opening, CONNECT_TIMEOUT_MS, this.#late("broker_not_available"));
      return connection;
    } catch (error) {
      this.#open.delete(connection);
      connection.socket?.destroy();
      throw error instanceof KafkaError ? error : connectionError(this.address, error);
    }
  }

  async #send<Args extends unknown[], Answer>(
    connection: Connection,
    api: API<Args, Answer>,
    args: Args,
    timeoutMs: number,
  ): Promise<Answer> {
    try {
      return await within(api.async(connection, ...args), timeoutMs, this.#late("request_timed_out"));
    } catch (error) {
      const answer = answerIn(error);
      if (answer !== undefined) return answer as Answer;
      // What is late may still come, and would be taken for the answer to something else's wait.
      if (error instanceof KafkaError) this.#drop(connection);
      throw requestError(this.address, error);
    }
  }

  #late(code: "broker_not_available" | "request_timed_out"): () => KafkaError {
    return () => new KafkaError(code, `${this.address} does not answer`);
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    connection.socket.destroy();
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection);
    const lane = this.#idleLanes.indexOf(connection);
    if (lane !== -1) this.#idleLanes.splice(lane, 1);
    if (this.#current === connection) this.#shared = this.#current = undefined;
  }
}
