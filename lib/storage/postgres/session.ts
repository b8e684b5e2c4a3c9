// One connection to PostgreSQL, held by postgres.js. A connection that is lost is never replaced under a transaction's
// feet: the driver would send the rest of it over a new one, each statement on its own.
import postgres from "postgres";

export type Value = string | number | null;
export type RawRow = Record<string, Value | boolean | undefined>;
/** Runs one statement; its parameters are $1, $2, … */
export type Run = (sql: string, values?: readonly Value[]) => Promise<RawRow[]>;

const CONNECT_TIMEOUT_S = 10;

export class Session {
  readonly #client: postgres.Sql;
  #connection: postgres.ReservedSql | undefined;
  #isLost = false;

  private constructor(url: string) {
    this.#client = postgres(url, {
      max: 1,
      // Types are named in the statements, so the driver need not ask for those of arrays.
      fetch_types: false,
      prepare: true,
      connect_timeout: CONNECT_TIMEOUT_S,
      // A net for a connection that the driver makes of its own accord, after ours failed.
      idle_timeout: CONNECT_TIMEOUT_S,
      max_lifetime: null,
      connection: { application_name: "weir" },
      onnotice: () => undefined,
      onclose: () => {
        this.#isLost = true;
      },
    });
  }

  /** @throws the driver's errors, which may hold the connection string */
  static async open(url: string): Promise<Session> {
    const session = new Session(url);
    let timer: ReturnType<typeof setTimeout> | undefined;
    // The driver tries for ever where a proxy takes the connection and closes it.
    const tooLate = new Promise<never>((_, reject) => {
      const message = `no connection within ${CONNECT_TIMEOUT_S} s`;
      timer = setTimeout(() => reject(new Error(message)), CONNECT_TIMEOUT_S * 1_000);
    });
    try {
      await Promise.race([session.#client.unsafe("SELECT 1"), tooLate]);
      session.#connection = await session.#client.reserve();
      return session;
    } catch (error) {
      session.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** @throws the driver's errors, which may hold data of tenants */
  async run(sql: string, values: readonly Value[] = []): Promise<RawRow[]> {
    return await this.#send(sql, values);
  }

  /** @returns the command that the server tells to have done: a COMMIT of a failed transaction is a ROLLBACK */
  async command(sql: string): Promise<string> {
    return (await this.#send(sql, [])).command;
  }

  /** Ends it now, whatever it is at. */
  end(): void {
    this.#isLost = true;
    this.#client.end({ timeout: 0 }).catch(() => undefined);
  }

  async #send(sql: string, values: readonly Value[]): Promise<postgres.RowList<postgres.Row[]>> {
    if (this.#isLost || !this.#connection) throw new Error("the connection was lost");
    return await this.#connection.unsafe(sql, [...values], { prepare: true });
  }
}
