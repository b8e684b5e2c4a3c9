// Reads a text from its beginning to its end, never back, and counts what it looked at: every parser of messages is
// linear, and a test holds it to that.

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What stands behind a backslash in Go's and in JSON's texts; anything else stands for itself. */
const ESCAPES = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
]);

export class Reader {
  readonly text: string;
  at: number;
  /** Units of the text that were looked at. */
  steps = 0;

  constructor(text: string, at = 0) {
    this.text = text;
    this.at = at;
  }

  get isDone(): boolean {
    return this.at >= this.text.length;
  }

  /** NaN at the end. */
  peek(): number {
    this.steps++;
    return this.text.charCodeAt(this.at);
  }

  /** And whatever else is no character that can be seen. */
  skipSpaces(): void {
    while (this.peek() <= SPACE) this.at++;
  }

  /** Steps over the text where it comes next. */
  take(expected: string): boolean {
    this.steps += expected.length;
    if (!this.text.startsWith(expected, this.at)) return false;
    this.at += expected.length;
    return true;
  }

  /** What comes before the mark, which is stepped over; undefined where there is none. */
  before(mark: string): string | undefined {
    const end = this.text.indexOf(mark, this.at);
    this.steps += (end === -1 ? this.text.length : end) - this.at;
    if (end === -1) return undefined;
    const found = this.text.slice(this.at, end);
    this.at = end + mark.length;
    return found;
  }

  /** What comes before the next space, which is stepped over, or the end. */
  word(): string {
    const found = this.before(" ");
    if (found !== undefined) return found;
    return this.rest();
  }

  rest(): string {
    const found = this.text.slice(this.at);
    this.at = this.text.length;
    return found;
  }

  /** A text in quotes, without its escapes; undefined where none begins here or where it does not end. */
  quoted(): string | undefined {
    if (this.peek() !== QUOTE) return undefined;
    const start = this.at + 1;
    let hasEscapes = false;
    for (let at = start; at < this.text.length; at++) {
      this.steps++;
      const unit = this.text.charCodeAt(at);
      if (unit === BACKSLASH) {
        hasEscapes = true;
        at++;
      } else if (unit === QUOTE) {
        this.at = at + 1;
        const inside = this.text.slice(start, at);
        return hasEscapes ? this.#unescape(inside) : inside;
      }
    }
    return undefined;
  }

  #unescape(text: string): string {
    this.steps += text.length;
    // Also `\x16`, as Apache and nginx write bytes: it stays as it is.
    return text.replaceAll(/\\(u[0-9a-fA-F]{4}|[^x])/g, (_, escaped: string) =>
      escaped.length > 1
        ? String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
        : (ESCAPES.get(escaped) ?? escaped),
    );
  }
}
