// Lines of a byte stream, as bytes: a line need not be UTF-8. They come in groups, one for each piece that arrived, so
// that a slow writer's lines are passed on at once and a fast one's together. A line beyond the limit is told, not kept.
import { Buffer } from "node:buffer";

export interface Line {
  /** From 1. */
  number: number;
  /** Without its line feed; undefined where it is too long. */
  bytes: Buffer | undefined;
}

const LINE_FEED = 0x0a;

/** @yields lines that are not empty */
export async function* readLines(input: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Line[]> {
  let number = 1;
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (part: Buffer) => {
    bytes += part.length;
    if (bytes <= maxBytes) parts.push(part);
    else parts = [];
  };
  const finish = (lines: Line[]) => {
    if (bytes > maxBytes) lines.push({ number, bytes: undefined });
    else if (bytes > 0) lines.push({ number, bytes: Buffer.concat(parts) });
    number++;
    parts = [];
    bytes = 0;
  };
  for await (const chunk of input) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      take(chunk.subarray(start, end));
      finish(lines);
      start = end + 1;
    }
    take(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  const last: Line[] = [];
  finish(last);
  if (last.length > 0) yield last;
}
