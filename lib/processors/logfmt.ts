// logfmt, `level=info msg="stopping listeners" addr=:8080`: pairs with spaces between, values in quotes where they hold
// spaces, and names alone, which say `true`. Prose in which pairs occur is none.
import { Fields } from "./fields.ts";
import type { Parsed } from "./parse-message.ts";
import type { Reader } from "./reader.ts";

const SPACE = 0x20;
const QUOTE = 0x22;
const EQUALS = 0x3d;

/** A line of one pair is prose as often as not. */
const MIN_PAIRS = 2;

export function parseLogfmt(reader: Reader): Parsed | undefined {
  const fields = new Fields();
  let pairs = 0;
  let alone = 0;
  for (reader.skipSpaces(); !reader.isDone; reader.skipSpaces()) {
    const name = readName(reader);
    if (name === "") return undefined;
    if (reader.peek() !== EQUALS) {
      alone++;
      fields.keep(name, true);
      continue;
    }
    reader.at++;
    const value = readValue(reader);
    if (value === undefined) return undefined;
    pairs++;
    fields.put(name, value);
  }
  return pairs >= MIN_PAIRS && pairs > alone ? { format: "logfmt", fields } : undefined;
}

/** Up to a space, a quote or an equals sign. */
function readName(reader: Reader): string {
  const start = reader.at;
  for (; !reader.isDone; reader.at++) {
    const unit = reader.peek();
    if (unit <= SPACE || unit === EQUALS || unit === QUOTE) break;
  }
  return reader.text.slice(start, reader.at);
}

/** @returns undefined for a quote that does not end, and for what stands against one */
function readValue(reader: Reader): string | undefined {
  const start = reader.at;
  if (reader.peek() === QUOTE) {
    const value = reader.quoted();
    return reader.isDone || reader.peek() <= SPACE ? value : undefined;
  }
  while (!reader.isDone && reader.peek() > SPACE) reader.at++;
  return reader.text.slice(start, reader.at);
}
