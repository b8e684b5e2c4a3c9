// Reads the expression of an alert rule. A fault names its column and how to mend it.
//
//   rule     = subject [by] [comparison number] [by] ["for" span]
//   subject  = name [labels] | function "(" name [labels] "," span ")"
//            | "lag" "(" [group] ")" | "dead_letters" "(" span ")" | "produce_p99" "(" ")" | "spill_age" "(" ")"
//   labels   = "{" [label ("=" | "!=") text {"," …}] "}"
//   by       = "by" "(" [label {"," label}] ")"
import { ok, type Result } from "../telemetry/result.ts";
import {
  AGGREGATES,
  COMPARISONS,
  type Expression,
  type Matcher,
  type Selector,
  type Subject,
} from "./expression.ts";
import { fault, tokensOf, type ExpressionFault, type Token } from "./tokens.ts";

export const MAX_EXPRESSION_CHARS = 1_000;

const MIN_RANGE_MS = 60_000;
const MAX_RANGE_MS = 7 * 86_400_000;
/** A series that is away for longer than samples are kept is forgotten. */
const MAX_ABSENCE_MS = 86_400_000;
const MAX_FOR_MS = 7 * 86_400_000;
const MAX_MATCHERS = 20;
const MAX_BY = 10;

const FUNCTIONS = [...AGGREGATES, "absent", "lag", "dead_letters", "produce_p99", "spill_age"] as const;
/** What is compared with a span of time. */
const OF_TIME: readonly Subject["kind"][] = ["produce_p99", "spill_age"];

class Fault extends Error {
  readonly at: ExpressionFault;
  constructor(at: ExpressionFault) {
    super(at.message);
    this.at = at;
  }
}

export function parseExpression(text: string): Result<Expression, ExpressionFault> {
  if (text.length > MAX_EXPRESSION_CHARS)
    return fault(MAX_EXPRESSION_CHARS + 1, `an expression has at most ${MAX_EXPRESSION_CHARS} characters`);
  const tokens = tokensOf(text);
  if (!tokens.ok) return tokens;
  try {
    return ok(new Parser(tokens.value).rule());
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { ok: false, error: error.at };
  }
}

class Parser {
  readonly #tokens: Token[];
  #place = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  rule(): Expression {
    const subject = this.#subject();
    let by = this.#by(subject);
    const condition = this.#condition(subject);
    by ??= this.#by(subject);
    const forMs = this.#for();
    if (this.#next.kind !== "end")
      this.#fail(
        `\`${this.#next.text}\` is one word too many; a rule ends with its number, or with for and a span`,
      );
    return { subject, by, condition, forMs };
  }

  get #next(): Token {
    // The last one is the end, which nothing takes.
    return this.#tokens[this.#place] as Token;
  }

  #take(): Token {
    const token = this.#next;
    if (token.kind !== "end") this.#place++;
    return token;
  }

  #isNext(text: string, ahead = 0): boolean {
    const token = this.#tokens[this.#place + ahead];
    return token !== undefined && token.kind !== "text" && token.text === text;
  }

  #expect(sign: string, mend: string): void {
    if (!this.#isNext(sign)) this.#fail(`expected \`${sign}\`${this.#instead()}; ${mend}`);
    this.#place++;
  }

  #subject(): Subject {
    const token = this.#next;
    if (token.kind === "name" && this.#isNext("(", 1)) return this.#call();
    if (token.kind !== "name" && token.kind !== "text")
      this.#fail(
        `expected a metric's name or a function${this.#instead()}, as in \`cpu_usage_percent > 80\``,
      );
    return { kind: "raw", selector: this.#selector() };
  }

  #call(): Subject {
    const { text: name } = this.#take();
    this.#place++;
    const known = FUNCTIONS.find((one) => one === name);
    switch (known) {
      case undefined:
        this.#place -= 2;
        return this.#fail(`there is no function ${name}; there are ${FUNCTIONS.join(", ")}`);
      case "lag":
        return this.#lag();
      case "produce_p99":
      case "spill_age":
        this.#expect(")", `${known} takes nothing, as in \`${known}() > 100ms\``);
        return { kind: known };
      case "dead_letters": {
        const rangeMs = this.#range("as in `dead_letters(5m) > 0`", MAX_ABSENCE_MS);
        this.#expect(")", "as in `dead_letters(5m) > 0`");
        return { kind: known, rangeMs };
      }
      default: {
        const mend = `as in \`${known}(latency, 5m)\``;
        if (this.#next.kind !== "name" && this.#next.kind !== "text")
          this.#fail(`expected a metric's name${this.#instead()}, ${mend}`);
        const selector = this.#selector();
        this.#expect(",", mend);
        const rangeMs = this.#range(mend, known === "absent" ? MAX_ABSENCE_MS : MAX_RANGE_MS);
        this.#expect(")", mend);
        if (known === "absent") return { kind: "absent", selector, rangeMs };
        return { kind: "window", aggregate: known, selector, rangeMs };
      }
    }
  }

  #lag(): Subject {
    let group: string | undefined;
    if (!this.#isNext(")")) {
      const token = this.#take();
      if (token.kind !== "name" && token.kind !== "text") {
        this.#place--;
        this.#fail(
          "expected a group's name or nothing, as in `lag(weir-storage) > 10000` or `lag() > 10000`",
        );
      }
      group = token.kind === "text" ? token.value : token.text;
    }
    this.#expect(")", "as in `lag(weir-storage) > 10000`");
    return { kind: "lag", group };
  }

  #range(mend: string, maxMs: number): number {
    const token = this.#next;
    if (token.kind !== "duration") return this.#fail(`expected a span of time${this.#instead()}, ${mend}`);
    if (token.value < MIN_RANGE_MS || token.value > maxMs)
      this.#fail(`the span must lie between 1m and ${maxMs / 86_400_000}d, not ${token.text}`);
    if (token.value % MIN_RANGE_MS !== 0) this.#fail(`the span must be of whole minutes, not ${token.text}`);
    this.#place++;
    return token.value;
  }

  #selector(): Selector {
    const token = this.#take();
    const name = token.kind === "text" ? token.value : token.text;
    if (name === "") {
      this.#place--;
      this.#fail("a metric's name is not empty");
    }
    return { name, matchers: this.#isNext("{") ? this.#matchers() : [] };
  }

  #matchers(): Matcher[] {
    const mend = 'as in {host="web-1",env!="dev"}';
    const matchers: Matcher[] = [];
    this.#place++;
    while (!this.#isNext("}")) {
      if (matchers.length > 0) this.#expect(",", mend);
      const name = this.#label(mend);
      const isEqual = this.#isNext("=");
      if (!isEqual && !this.#isNext("!=")) this.#fail(`expected = or !=${this.#instead()}, ${mend}`);
      this.#place++;
      const value = this.#next;
      if (value.kind !== "text")
        return this.#fail(`expected a text in double quotes${this.#instead()}, ${mend}`);
      this.#place++;
      matchers.push({ name, isEqual, value: value.value });
      if (matchers.length > MAX_MATCHERS) this.#fail(`at most ${MAX_MATCHERS} labels are compared`);
    }
    this.#place++;
    return matchers;
  }

  #label(mend: string): string {
    const token = this.#next;
    if (token.kind !== "name" && token.kind !== "text")
      return this.#fail(`expected a label's name${this.#instead()}, ${mend}`);
    this.#place++;
    return token.kind === "text" ? token.value : token.text;
  }

  #by(subject: Subject): string[] | undefined {
    if (!this.#isNext("by")) return undefined;
    if (!["raw", "window", "absent"].includes(subject.kind))
      this.#fail("`by` goes with metrics only; what concerns the deployment has its own labels");
    const mend = "as in by (host, env)";
    this.#place++;
    this.#expect("(", mend);
    const by: string[] = [];
    while (!this.#isNext(")")) {
      if (by.length > 0) this.#expect(",", mend);
      by.push(this.#label(mend));
      if (by.length > MAX_BY) this.#fail(`at most ${MAX_BY} labels make a group`);
    }
    this.#place++;
    return [...new Set(by)];
  }

  #condition({ kind }: Subject): Expression["condition"] {
    const token = this.#next;
    const comparison = COMPARISONS.find((one) => one === token.text);
    if (kind === "absent") {
      if (comparison || this.#isNext("="))
        this.#fail("absent is not compared with anything; `absent(heartbeat, 10m)` is the whole of it");
      return undefined;
    }
    if (this.#isNext("=")) this.#fail("one = compares labels; a value is compared with ==");
    if (token.kind !== "operator" || !comparison)
      return this.#fail(
        `expected one of ${COMPARISONS.join(" ")}${this.#instead()}, as in \`cpu_usage_percent > 80\``,
      );
    this.#place++;
    return { comparison, threshold: this.#threshold(kind) };
  }

  #threshold(kind: Subject["kind"]): number {
    const token = this.#next;
    const isOfTime = OF_TIME.includes(kind);
    if (token.kind === "duration" && !isOfTime)
      return this.#fail(`a value is compared with a number without a unit, not ${token.text}`);
    if (token.kind === "number" && isOfTime && token.value !== 0)
      return this.#fail(`\`${kind}()\` is compared with a span of time, as in 100ms, not ${token.text}`);
    if (token.kind !== "number" && token.kind !== "duration")
      return this.#fail(
        `expected ${isOfTime ? "a span of time, as in 100ms" : "a number"}${this.#instead()}`,
      );
    if (!Number.isFinite(token.value))
      return this.#fail(`${token.text} is beyond the range of a 64-bit float`);
    this.#place++;
    return token.value;
  }

  #for(): number | undefined {
    if (!this.#isNext("for")) return undefined;
    this.#place++;
    const token = this.#next;
    if (token.kind !== "duration")
      return this.#fail(`expected a span of time${this.#instead()}, as in for 10m`);
    if (token.value > MAX_FOR_MS) this.#fail(`for must be at most 7d, not ${token.text}`);
    this.#place++;
    return token.value;
  }

  #instead(): string {
    return this.#next.kind === "end"
      ? " where the expression ends"
      : `, not \`${this.#next.text.slice(0, 60)}\``;
  }

  #fail(message: string): never {
    throw new Fault({ column: this.#next.column, message });
  }
}
