// An answer of concatenated JSON: objects one after the other, with or without white space between them, cut into
// chunks anywhere. It may break off or end in what is no JSON; the objects before that still count, so they are kept
// and the end is told beside them.

/** Longest answer that is read: far more than the reports of one produce call. */
const MAX_ANSWER_CHARS = 8 * 1024 * 1024;

export interface ConcatenatedJson {
  values: unknown[];
  /** `whole`: it ended after an object. `cut`: inside of one. `not_json`: what followed is none. `too_long`: unread. */
  end: "whole" | "cut" | "not_json" | "too_long" | { brokenBy: unknown };
  /** What stands behind the last whole object. */
  rest: string;
}

export async function readConcatenatedJson(
  stream: ReadableStream<Uint8Array> | null,
): Promise<ConcatenatedJson> {
  const splitter = new ObjectSplitter();
  const values: unknown[] = [];
  const done = (end: ConcatenatedJson["end"]) => ({ values, end, rest: splitter.rest });
  if (!stream) return done("whole");
  const reader = stream.getReader();
  // Streaming, so that a chunk may end inside of a character.
  const decoder = new TextDecoder();
  let chars = 0;
  try {
    for (;;) {
      const { done: isOver, value } = await reader.read();
      const text = isOver ? decoder.decode() : decoder.decode(value, { stream: true });
      chars += text.length;
      for (const piece of splitter.push(text)) {
        const parsed = parse(piece);
        if (!parsed) return done("not_json");
        values.push(parsed.value);
      }
      if (splitter.isLost) return done("not_json");
      if (isOver) return done(splitter.rest.trim() === "" ? "whole" : "cut");
      if (chars > MAX_ANSWER_CHARS) return done("too_long");
    }
  } catch (cause) {
    return done({ brokenBy: cause });
  } finally {
    // Gives the connection back where the answer was not read to its end.
    await reader.cancel().catch(() => undefined);
  }
}

function parse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Finds where each object ends, by its braces outside of strings; whether it is JSON is for the parser to say. */
class ObjectSplitter {
  #text = "";
  #scanned = 0;
  #depth = 0;
  #inString = false;
  #isEscaped = false;

  get rest(): string {
    return this.#text;
  }

  /** Something other than an object or white space came between two objects. */
  get isLost(): boolean {
    return this.#depth === 0 && this.#text.trim() !== "";
  }

  push(text: string): string[] {
    this.#text += text;
    const whole: string[] = [];
    let start = 0;
    for (let i = this.#scanned; i < this.#text.length; i++) {
      const char = this.#text[i];
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (char === "\\") this.#isEscaped = true;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') this.#inString = this.#depth > 0;
      else if (char === "{") this.#depth++;
      else if (char === "}" && this.#depth > 0 && --this.#depth === 0) {
        whole.push(this.#text.slice(start, i + 1));
        start = i + 1;
      }
    }
    this.#text = this.#text.slice(start);
    this.#scanned = this.#text.length;
    return whole;
  }
}
