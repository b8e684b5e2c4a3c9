// What `weir` prints: tables for people, JSON for programs. No colour but on a terminal, and none under NO_COLOR; what
// others wrote into a topic cannot move the cursor; a reader that goes away (`| head`) ends the program in silence.
import { once } from "node:events";
import type { Writable } from "node:stream";

export interface Column {
  title: string;
  /** Numbers. */
  isRight?: boolean;
  /** Left out where no row has anything in it. */
  isOptional?: boolean;
}

export type Tint = "good" | "warn" | "bad" | "dim" | "bold";

const TINTS: Record<Tint, string> = { good: "32", warn: "33", bad: "31", dim: "2", bold: "1" };

/** A table's cell: its text, and its colour where there is any. */
export type Cell = string | { text: string; tint: Tint };

export class Output {
  readonly #stdout: Writable & { isTTY?: boolean };
  readonly #stderr: Writable & { isTTY?: boolean };
  readonly #hasColour: boolean;
  #progress = "";

  constructor(
    stdout: Writable & { isTTY?: boolean },
    stderr: Writable & { isTTY?: boolean },
    environment: Record<string, string | undefined>,
  ) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    // https://no-color.org: any value but the empty one.
    this.#hasColour = stdout.isTTY === true && !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
  }

  /** Waits while the reader is slower than we are. */
  async line(text: string): Promise<void> {
    if (!this.#stdout.write(`${text}\n`)) await once(this.#stdout, "drain");
  }

  async json(value: unknown): Promise<void> {
    await this.line(JSON.stringify(value, null, 2));
  }

  /** For people, beside what is piped on. */
  note(text: string): void {
    this.progress("");
    this.#stderr.write(`${text}\n`);
  }

  /** One line on a terminal, written over by the next; empty takes it away. */
  progress(text: string): void {
    if (this.#stderr.isTTY !== true || text === this.#progress) return;
    this.#progress = text;
    this.#stderr.write(`\r\u001b[2K${text}`);
  }

  tint(text: string, tint: Tint): string {
    return this.#hasColour ? `\u001b[${TINTS[tint]}m${text}\u001b[0m` : text;
  }

  async table(all: readonly Column[], allRows: readonly (readonly Cell[])[]): Promise<void> {
    const textOf = (cell: Cell | undefined) => (typeof cell === "string" ? cell : (cell?.text ?? ""));
    const isShown = all.map(
      ({ isOptional }, i) => !isOptional || allRows.some((row) => !["", "-"].includes(textOf(row[i]))),
    );
    const columns = all.filter((_, i) => isShown[i]);
    const rows = allRows.map((row) => row.filter((_, i) => isShown[i]));
    const widths = columns.map(({ title }, i) =>
      rows.reduce((width, row) => Math.max(width, textOf(row[i]).length), title.length),
    );
    const last = columns.length - 1;
    const layOut = (cells: readonly Cell[]) =>
      columns
        .map(({ isRight }, i) => {
          const cell = cells[i];
          const text = textOf(cell);
          const padding = " ".repeat((widths[i] ?? 0) - text.length);
          const shown = typeof cell === "object" ? this.tint(text, cell.tint) : text;
          if (isRight) return padding + shown;
          return i === last ? shown : shown + padding;
        })
        .join("  ")
        .trimEnd();
    await this.line(layOut(columns.map(({ title }) => ({ text: title, tint: "dim" }))));
    for (const row of rows) await this.line(layOut(row));
  }
}

/** Control characters of others are shown, never obeyed: a terminal would. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    if (character === "\t") return "\t";
    if (character === "\n") return String.raw`\n`;
    if (character === "\r") return String.raw`\r`;
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

export function count(number: number, noun: string): string {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}
