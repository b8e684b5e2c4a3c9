// D1 that fails when asked to: before a write reaches it, after the write was done and before its answer, or at every
// call. The words are D1's own, since the store reads them.
import { hooks, type Mutation } from "./hooks.ts";

const underneath = new WeakMap<object, D1PreparedStatement>();

export function faultyD1(db: D1Database, mutation?: Mutation): D1Database {
  return new Proxy(db, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => faultyStatement(target.prepare(mutated(sql, mutation)));
      if (name === "batch")
        return async (statements: D1PreparedStatement[]) =>
          await written(() => target.batch(statements.map((one) => underneath.get(one) ?? one)));
      return bound(target, name);
    },
  });
}

function faultyStatement(statement: D1PreparedStatement): D1PreparedStatement {
  const faulty = new Proxy(statement, {
    get(target, name) {
      if (name === "bind") return (...values: unknown[]) => faultyStatement(target.bind(...values));
      if (name === "run") return async () => await written(() => target.run());
      const value: unknown = bound(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        failWhileAway();
        return await (value as (...given: unknown[]) => unknown)(...args);
      };
    },
  });
  underneath.set(faulty, statement);
  return faulty;
}

/** Two things keep an alert from being recorded twice: the fence, and that the second one has the same id. */
function mutated(sql: string, mutation: Mutation | undefined): string {
  if (mutation === "alert-fence") {
    if (sql.startsWith("INSERT INTO fence") && sql.includes("alert_owners")) return "SELECT ?1, ?2";
    if (/^INSERT INTO alert_(transitions|outbox)/.test(sql))
      return sql.replace("->> 'id',", "->> 'id' || hex(randomblob(4)),");
  }
  // Nothing is left of them.
  if (mutation === "alert-outbox" && sql.startsWith("INSERT INTO alert_outbox")) return `${sql} WHERE false`;
  return sql;
}

/** A write, and what goes wrong with it. */
export async function written<T>(write: () => Promise<T>): Promise<T> {
  failWhileAway();
  if (hooks.failBefore > 0) {
    hooks.failBefore--;
    throw new Error("D1_ERROR: Network connection lost.");
  }
  const result = await write();
  if (hooks.failAfter > 0) {
    hooks.failAfter--;
    throw new Error("D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.");
  }
  return result;
}

export function failWhileAway(): void {
  if (hooks.isStoreAway) throw new Error("D1_ERROR: Network connection lost.");
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === "function" ? (value.bind(target) as unknown) : value;
}
