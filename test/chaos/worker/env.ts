// The deployed environment with a D1 that fails on demand. One object for each environment, since what is read from it
// is remembered by it.
import { faultyD1 } from "./faulty-d1.ts";
import { mutationOf } from "./hooks.ts";

const known = new WeakMap<Env, Env>();

export function chaosEnv(env: Env): Env {
  const made = known.get(env) ?? { ...env, DB: faultyD1(env.DB, mutationOf(env)) };
  known.set(env, made);
  known.set(made, made);
  return made;
}
