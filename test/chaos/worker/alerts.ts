// Alerts as the driver asks for them: what a judgement would record if it were made now, and judges beside the owner.
import { judgeTenant } from "../../../functions/alert-tick.ts";
import { ProduceLatency } from "../../../lib/alerts/produce-latency.ts";
import type { DueTransition } from "./control-call.ts";

const RIVALS = 3;

const dryEnvs = new WeakMap<Env, { env: Env; seen: DueTransition[] }>();

/** Judges as the owner does, and records nothing. @returns the transitions that are due */
export async function dueTransitions(
  env: Env,
  tenant: string,
  context: Pick<ExecutionContext, "waitUntil">,
): Promise<DueTransition[]> {
  const known = dryEnvs.get(env) ?? dryEnv(env);
  dryEnvs.set(env, known);
  known.seen.length = 0;
  await judgeTenant(known.env, tenant, { nowMs: Date.now(), latency: new ProduceLatency(), context });
  return [...known.seen];
}

/** Statements that are told by their SQL, and a batch that is read where it would be written. */
function dryEnv(env: Env): { env: Env; seen: DueTransition[] } {
  const seen: DueTransition[] = [];
  const bound = new WeakMap<object, { sql: string; values: unknown[] }>();
  const DB = new Proxy(env.DB, {
    get(target, name) {
      if (name === "prepare")
        return (sql: string) => {
          const statement = target.prepare(sql);
          return new Proxy(statement, {
            get(of, what) {
              if (what === "bind")
                return (...values: unknown[]) => {
                  const made = of.bind(...values);
                  bound.set(made, { sql, values });
                  return made;
                };
              const value: unknown = Reflect.get(of, what);
              return typeof value === "function" ? (value.bind(of) as unknown) : value;
            },
          });
        };
      if (name === "batch")
        return async (statements: D1PreparedStatement[]) => {
          const said = statements.flatMap((statement) => bound.get(statement) ?? []);
          // Readers have batches, too.
          if (!said.some(({ sql }) => sql.startsWith("INSERT INTO alert_owners")))
            return await target.batch(statements);
          for (const { sql, values } of said)
            if (sql.startsWith("INSERT INTO alert_transitions"))
              seen.push(...(JSON.parse(String(values[0])) as DueTransition[]));
          return [];
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { env: { ...env, DB }, seen };
}

/** More judges of one tenant, all of whom begin at once and go on by alarms of their own. */
export async function raceAlerts(env: Env, tenant: string): Promise<void> {
  const rivals = Array.from({ length: RIVALS }, (_, i) =>
    env.ALERT_OWNER.getByName(`rival-${i} of ${tenant}`),
  );
  await Promise.allSettled(rivals.map((rival) => rival.wake(tenant)));
}
