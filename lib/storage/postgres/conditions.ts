// The conditions of a statement that is put together, with their parameters: each is numbered as it is added.
import type { Value } from "./session.ts";

export class Conditions {
  readonly values: Value[] = [];
  readonly #parts: string[] = [];

  /** @param sql with `?` for each value */
  add(sql: string, ...values: Value[]): void {
    let next = this.values.length;
    this.#parts.push(sql.replace(/\?/g, () => `$${++next}`));
    this.values.push(...values);
  }

  /** All of them; true where there is none. */
  get sql(): string {
    return this.#parts.length === 0 ? "true" : this.#parts.join(" AND ");
  }
}
