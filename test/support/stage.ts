// Decides the order in which several tasks go on, one step at a time, and where one of them dies: a task stops at each
// of its steps until it is its turn. Needs no clock: between steps the tasks do nothing but what is in memory.

/** What a task that has died sees at its step, and at every later one. */
class Died extends Error {
  override readonly name = "Died";
}

interface Waiting {
  actor: string;
  step: string;
  go: () => void;
  die: () => void;
}

export class Stage {
  #waiting: Waiting[] = [];
  readonly #dead = new Set<string>();
  /** Steps gone, as `actor step`. */
  readonly history: string[] = [];

  /** An actor is at a step. @throws Died */
  async reached(actor: string, step: string): Promise<void> {
    if (this.#dead.has(actor)) throw new Died(`${actor} is dead`);
    await new Promise<void>((resolve, reject) => {
      const die = () => reject(new Died(`${actor} died at ${step}`));
      this.#waiting.push({ actor, step, go: resolve, die });
    });
  }

  /** Each call is a step before it and one after it: a crash may fall on either side of what it does. */
  wrap<T extends object>(actor: string, name: string, object: T, methods: readonly (keyof T & string)[]): T {
    const wrapped = { ...object };
    for (const method of methods) {
      const call = object[method] as (...args: unknown[]) => Promise<unknown>;
      const staged = async (...args: unknown[]) => {
        await this.reached(actor, `${name}.${method}`);
        const answer = await call(...args);
        await this.reached(actor, `${name}.${method} done`);
        return answer;
      };
      wrapped[method] = staged as T[typeof method];
    }
    return wrapped;
  }

  /**
   * Runs until every task has ended.
   * @param choose of those that wait, who is next, and whether it dies there
   */
  async run(
    tasks: readonly Promise<unknown>[],
    choose: (waiting: readonly { actor: string; step: string }[]) => { next: number; dies: boolean },
  ): Promise<void> {
    let isOver = false;
    const all = Promise.allSettled(tasks).then(() => (isOver = true));
    for (;;) {
      await settled();
      if (this.#waiting.length === 0) {
        if (isOver) break;
        throw new Error("a task waits for something that is no step");
      }
      const { next, dies } = choose(this.#waiting);
      const chosen = this.#waiting[next % this.#waiting.length] as Waiting;
      this.#waiting = this.#waiting.filter((one) => one !== chosen);
      this.history.push(`${chosen.actor} ${chosen.step}${dies ? " †" : ""}`);
      if (!dies) chosen.go();
      else this.#kill(chosen);
    }
    await all;
  }

  #kill(chosen: Waiting): void {
    this.#dead.add(chosen.actor);
    chosen.die();
    const others = this.#waiting.filter(({ actor }) => actor === chosen.actor);
    this.#waiting = this.#waiting.filter(({ actor }) => actor !== chosen.actor);
    for (const other of others) other.die();
  }
}

/** All that can go on without a step has gone on. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
