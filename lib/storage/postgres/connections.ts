// Transactions on PostgreSQL, each on a connection of its own and under a deadline. Connections are made when needed, kept
// for a moment, and belong to whoever made this: in workerd no socket may be used by another request.
import { isTakenBack, secretsOf, sqlStateOf, storageError } from "./failure.ts";
import { Session, type RawRow, type Run, type Value } from "./session.ts";
import { StorageError } from "../storage.ts";

export interface PostgresOptions {
  url: string;
  /** Connections open at once; further calls wait. A Worker may have six. */
  maxConnections?: number;
  /** How long a connection is kept for the next call. */
  idleMs?: number;
  /** After this a call fails, whatever the server is at. */
  deadlineMs?: number;
}

/** What a transaction came to, and whether it is to stand. */
export interface Worked<T> {
  outcome: T;
  isKept: boolean;
}

const MAX_CONNECTIONS = 4;
const IDLE_MS = 250;
/** As on D1. Hyperdrive ends statements after 60 s. */
const DEADLINE_MS = 30_000;
/** How often a transaction is done that the server takes back: deadlocks of two that insert the same rows. */
const MAX_TRIES = 5;
const RETRY_PAUSE_MS = 20;

export class PostgresConnections {
  readonly #url: string;
  readonly #secrets: readonly string[];
  readonly #maxConnections: number;
  readonly #idleMs: number;
  readonly #deadlineMs: number;
  #open = 0;
  readonly #idle = new Map<Session, ReturnType<typeof setTimeout>>();
  readonly #waiting: (() => void)[] = [];

  constructor({ url, maxConnections, idleMs, deadlineMs }: PostgresOptions) {
    this.#url = url;
    this.#secrets = secretsOf(url);
    this.#maxConnections = maxConnections ?? MAX_CONNECTIONS;
    this.#idleMs = idleMs ?? IDLE_MS;
    this.#deadlineMs = deadlineMs ?? DEADLINE_MS;
  }

  /** One statement that reads. @throws StorageError */
  async read(what: string, sql: string, values: readonly Value[]): Promise<RawRow[]> {
    return await this.transaction(what, async (run) => ({ outcome: await run(sql, values), isKept: true }));
  }

  /**
   * Runs `work` in a transaction (READ COMMITTED), again where the server took it back.
   * @throws StorageError
   */
  async transaction<T>(what: string, work: (run: Run) => Promise<Worked<T>>): Promise<T> {
    const call = { isOver: false, session: undefined as Session | undefined };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        call.isOver = true;
        // The server sees the connection end, and takes back what is not committed.
        call.session?.end();
        reject(new StorageError(`${what}: no answer within ${this.#deadlineMs} ms`));
      }, this.#deadlineMs);
    });
    try {
      return await Promise.race([this.#tries(work, call), deadline]);
    } catch (error) {
      throw storageError(what, error, this.#secrets);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connections that are idle; those in use end when they are done. */
  close(): void {
    for (const [session, timer] of this.#idle) {
      clearTimeout(timer);
      session.end();
      this.#open--;
    }
    this.#idle.clear();
  }

  async #tries<T>(work: (run: Run) => Promise<Worked<T>>, call: Call): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(work, call);
      } catch (error) {
        if (!isTakenBack(error) || tries === MAX_TRIES || call.isOver) throw error;
        const pauseMs = Math.random() * RETRY_PAUSE_MS * 2 ** tries;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  async #once<T>(work: (run: Run) => Promise<Worked<T>>, call: Call): Promise<T> {
    const session = await this.#begun(call);
    try {
      const { outcome, isKept } = await work((sql, values) => session.run(sql, values));
      if (!isKept) await session.run("ROLLBACK");
      else if ((await session.command("COMMIT")) !== "COMMIT") throw new Error("the server took it back");
      this.#release(session);
      return outcome;
    } catch (error) {
      await this.#abandon(session, error);
      throw error;
    } finally {
      call.session = undefined;
    }
  }

  /** A session with a transaction begun. One that was idle may have been ended by the server: then another. */
  async #begun(call: Call): Promise<Session> {
    for (;;) {
      const { session, isNew } = await this.#acquire();
      call.session = session;
      try {
        if (call.isOver) throw new Error("too late");
        // Waited for before anything else: where a pooler refuses it, the statements behind it would stand alone.
        await Promise.all([
          session.run("BEGIN"),
          session.run(`SET LOCAL statement_timeout = ${this.#deadlineMs}`),
          // Nobody may hold a partition's row whose isolate is gone.
          session.run(`SET LOCAL idle_in_transaction_session_timeout = ${this.#deadlineMs}`),
        ]);
        return session;
      } catch (error) {
        call.session = undefined;
        this.#drop(session);
        if (isNew || call.isOver) throw error;
      }
    }
  }

  async #acquire(): Promise<{ session: Session; isNew: boolean }> {
    for (;;) {
      for (const [session, timer] of this.#idle) {
        clearTimeout(timer);
        this.#idle.delete(session);
        if (!session.isLost) return { session, isNew: false };
        this.#drop(session);
      }
      if (this.#open < this.#maxConnections) {
        this.#open++;
        try {
          return { session: await Session.open(this.#url), isNew: true };
        } catch (error) {
          this.#freed();
          throw error;
        }
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #release(session: Session): void {
    if (session.isLost) return this.#drop(session);
    const timer = setTimeout(() => {
      this.#idle.delete(session);
      this.#drop(session);
    }, this.#idleMs);
    this.#idle.set(session, timer);
    this.#waiting.shift()?.();
  }

  /** After a fault that the server told of the connection is good still, once the transaction is taken back. */
  async #abandon(session: Session, error: unknown): Promise<void> {
    if (sqlStateOf(error) === undefined || session.isLost) return this.#drop(session);
    try {
      await session.run("ROLLBACK");
      this.#release(session);
    } catch {
      this.#drop(session);
    }
  }

  #drop(session: Session): void {
    session.end();
    this.#freed();
  }

  #freed(): void {
    this.#open--;
    this.#waiting.shift()?.();
  }
}

interface Call {
  isOver: boolean;
  session: Session | undefined;
}
