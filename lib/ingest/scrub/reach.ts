// Which rules matter at a place of a record, found by walking down with it: those that end here, those that cover all
// that lies below, and those that still have steps to go.
import { advance } from "./path.ts";
import type { ScrubRule } from "./rules.ts";

interface Pending {
  rule: ScrubRule;
  /** Steps taken so far; with `**` a rule is at several places at once. */
  at: ReadonlySet<number>;
}

const join = (lists: readonly (readonly ScrubRule[])[]): ScrubRule[] =>
  [...new Set(lists.flat())].toSorted(byIndex);

const byIndex = (a: ScrubRule, b: ScrubRule): number => a.index - b.index;

/** Immutable, so that the places of a record's fields are worked out once. */
export class Reach {
  readonly #pending: readonly Pending[];
  /** Rules with a pattern: they look at every text here and below, by their order. */
  readonly covering: readonly ScrubRule[];
  /** Rules for the whole of the value that is here. */
  readonly whole: readonly ScrubRule[];
  /** Handed to what is directly below: this place must stay the container that it is. */
  readonly #forChildren: readonly ScrubRule[];
  #child: Reach | undefined;

  private constructor(
    pending: readonly Pending[],
    covering: readonly ScrubRule[],
    whole: readonly ScrubRule[],
    forChildren: readonly ScrubRule[] = [],
  ) {
    this.#pending = pending;
    this.covering = covering;
    this.whole = whole;
    this.#forChildren = forChildren;
  }

  /** Of a whole record. */
  static root(rules: readonly ScrubRule[]): Reach {
    const pending = rules.flatMap((rule) => (rule.steps ? [{ rule, at: new Set([0]) }] : []));
    return new Reach(
      pending,
      rules.filter(({ steps }) => !steps),
      [],
    );
  }

  /** A place that has several names. */
  static either(first: Reach, ...others: readonly Reach[]): Reach {
    if (others.length === 0) return first;
    const all = [first, ...others];
    return new Reach(
      all.flatMap((one) => one.#pending),
      join(all.map(({ covering }) => covering)),
      join(all.map(({ whole }) => whole)),
      join(all.map((one) => one.#forChildren)),
    );
  }

  /** No rule has anything to say here or below. */
  get isIdle(): boolean {
    return this.#pending.length + this.covering.length + this.whole.length + this.#forChildren.length === 0;
  }

  /** All rules for a text that is here, by their order. */
  get forText(): readonly ScrubRule[] {
    return this.whole.length === 0 ? this.covering : [...this.covering, ...this.whole].toSorted(byIndex);
  }

  /** For a value that is no text: a pattern without a path means texts alone. */
  get forScalar(): readonly ScrubRule[] {
    return this.forText.filter(({ steps }) => steps !== undefined);
  }

  /** For a container that has to stay: what would replace it goes to each value in it. */
  kept(): Reach {
    if (this.whole.length === 0) return this;
    return new Reach(this.#pending, this.covering, [], this.whole);
  }

  down(key: string): Reach {
    if (this.#pending.length === 0) {
      const isSame = this.whole.length + this.#forChildren.length === 0;
      return (this.#child ??= isSame ? this : new Reach([], this.covering, this.#forChildren));
    }
    const pending: Pending[] = [];
    const covering = new Set(this.covering);
    const whole = new Set(this.#forChildren);
    for (const { rule, at } of this.#pending) {
      const reached = new Set(advance(rule.steps ?? [], at, key));
      if (reached.delete(rule.steps?.length ?? 0)) (rule.find ? covering : whole).add(rule);
      if (reached.size > 0) pending.push({ rule, at: reached });
    }
    return new Reach(pending, [...covering].toSorted(byIndex), [...whole].toSorted(byIndex));
  }
}
