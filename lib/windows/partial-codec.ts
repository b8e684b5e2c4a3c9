// A partial as it is stored: a short text. Equal partials have equal texts.
//
//   state      = version flags partition body                     all of it in base64
//   body       = last                                             SINGLE: one number; all else follows from it
//              | [values] [last] [points of number] [points of seen]      by flags
//   values     = count sum [sum of huge] min max sketch           sum = length, numbers, the least first
//   last       = ms ns partition offset index value
//   points     = 2 × length + (1 with head) [head] (ms value)*    ms: from the one before
//   head       = dropped, first ms, its value, last ms, its value
//   seen       = count sum sketch                                 a sketch of the same keys as the one before: counts only
//   sketch     = sketch-codec.ts
import { Buffer } from "node:buffer";
import { canonicalParts, restoredParts } from "./exact-sum.ts";
import { COUNTER, MAX_COUNTER_POINTS, MAX_DISTRIBUTION_POINTS, type Seen } from "./growing.ts";
import { emptyPartial, fold, type LastValue, type WindowPartial } from "./partial.ts";
import { addPoint, emptyPoints, type Points } from "./points.ts";
import { PartialStateError, StateReader, StateWriter } from "./state-bytes.ts";
import { hasSameKeys, readGrowthOf, readSketch, writeGrowthOf, writeSketch } from "./sketch-codec.ts";
import type { Sketch } from "./sketch.ts";

const VERSION = 1;

const SINGLE = 1;
const VALUES = 2;
const LAST = 4;
const COUNTER_POINTS = 8;
const SEEN_POINTS = 16;
const HUGE = 32;
const FLAGS = 63;

/** An expansion of doubles has at most so many parts. */
const MAX_PARTS = 64;

export function encodePartial(partial: WindowPartial): string {
  const { count, sum, min, max, sketch, last, counter, seen } = partial;
  const writer = new StateWriter();
  writer.byte(VERSION);
  const counted = counter ? COUNTER_POINTS : 0;
  if (last && isSingle(partial, last)) {
    writer.byte(SINGLE | counted);
    writer.whole(partial.partition);
    writeLast(writer, last);
    return writer.text();
  }
  const parts = canonicalParts(sum.parts);
  const huge = canonicalParts(sum.huge ?? []);
  writer.byte(
    counted |
      (count > 0 ? VALUES : 0) |
      (last ? LAST : 0) |
      (seen ? SEEN_POINTS : 0) |
      (huge.length > 0 ? HUGE : 0),
  );
  writer.whole(partial.partition);
  if (count > 0) {
    writer.whole(count);
    writeNumbers(writer, parts);
    if (huge.length > 0) writeNumbers(writer, huge);
    writer.number(min);
    writer.number(max);
    writeSketch(writer, sketch);
  }
  if (last) writeLast(writer, last);
  if (counter) writePoints(writer, counter, writeGrowth(writer));
  if (seen) writePoints(writer, seen, writeSeen(writer));
  return writer.text();
}

/** @throws PartialStateError of a text that was cut or changed, or is of a version that is not known */
export function decodePartial(text: string): WindowPartial {
  const reader = new StateReader(text);
  const version = reader.byte();
  if (version !== VERSION)
    throw new PartialStateError(
      `it is of version ${version}, and only ${VERSION} is known; a newer Weir wrote it`,
    );
  const flags = reader.byte();
  if ((flags & ~FLAGS) !== 0) throw new PartialStateError("its flags are not known");
  const partial = emptyPartial(reader.whole());
  if ((flags & SINGLE) !== 0) readSingle(reader, partial, flags);
  else {
    if ((flags & VALUES) !== 0) readValues(reader, partial, (flags & HUGE) !== 0);
    if ((flags & LAST) !== 0) partial.last = readLast(reader);
    if ((flags & COUNTER_POINTS) !== 0)
      partial.counter = readPoints(reader, MAX_COUNTER_POINTS, readGrowth(reader));
    if ((flags & SEEN_POINTS) !== 0)
      partial.seen = readPoints(reader, MAX_DISTRIBUTION_POINTS, readSeen(reader));
  }
  reader.end();
  return partial;
}

/** Whether the window before it has a say in its result: it holds points of something that grows. */
export function isGrowing(text: string): boolean {
  // Version and flags; what is wrong with them is told by whoever decodes it.
  const [, flags = 0] = Buffer.from(text.slice(0, 4), "base64");
  return (flags & (COUNTER_POINTS | SEEN_POINTS)) !== 0;
}

/** Whether folding `last` alone gives this partial. */
function isSingle({ partition, count, seen }: WindowPartial, last: LastValue): boolean {
  return count === 1 && seen === undefined && last.partition === partition;
}

function readSingle(reader: StateReader, partial: WindowPartial, flags: number): void {
  const { ms, ns, offset, index, value, ...last } = readLast(reader);
  if (last.partition !== partial.partition || (flags & ~(SINGLE | COUNTER_POINTS)) !== 0)
    throw new PartialStateError("its flags do not go together");
  fold(partial, { time: { ms, ns }, offset, index, value: { kind: "number", value } });
  if ((flags & COUNTER_POINTS) !== 0) addPoint(COUNTER, (partial.counter = emptyPoints()), ms, value);
}

function readValues(reader: StateReader, partial: WindowPartial, hasHuge: boolean): void {
  partial.count = reader.whole();
  partial.sum = { parts: readParts(reader), huge: hasHuge ? readParts(reader) : undefined };
  partial.min = reader.number();
  partial.max = reader.number();
  partial.sketch = readSketch(reader);
}

function writeLast(writer: StateWriter, { ms, ns, partition, offset, index, value }: LastValue): void {
  writer.signed(ms);
  writer.whole(ns);
  writer.whole(partition);
  writer.whole(offset);
  writer.whole(index);
  writer.number(value);
}

function readLast(reader: StateReader): LastValue {
  return {
    ms: reader.signed(),
    ns: reader.whole(),
    partition: reader.whole(),
    offset: reader.whole(),
    index: reader.whole(),
    value: reader.number(),
  };
}

function writeNumbers(writer: StateWriter, numbers: readonly number[]): void {
  writer.whole(numbers.length);
  for (const number of numbers) writer.number(number);
}

function readParts(reader: StateReader): number[] {
  const length = reader.length(MAX_PARTS);
  const parts = restoredParts(Array.from({ length }, () => reader.number()));
  if (!parts) throw new PartialStateError("its sum is of no numbers");
  return parts;
}

function writePoints<V>(
  writer: StateWriter,
  { head, times, values }: Points<V>,
  write: (value: V) => void,
): void {
  writer.whole(times.length * 2 + (head ? 1 : 0));
  let before = 0;
  const writeTime = (ms: number) => {
    writer.signed(ms - before);
    before = ms;
  };
  if (head) {
    write(head.dropped);
    writeTime(head.firstMs);
    write(head.first);
    writeTime(head.lastMs);
    write(head.last);
  }
  for (let i = 0; i < times.length; i++) {
    writeTime(times[i] as number);
    write(values[i] as V);
  }
}

function readPoints<V>(reader: StateReader, max: number, read: () => V): Points<V> {
  const form = reader.length(max * 2 + 1);
  const points = emptyPoints<V>();
  let before = 0;
  const readTime = () => (before += reader.signed());
  if (form % 2 === 1) {
    points.head = { dropped: read(), firstMs: readTime(), first: read(), lastMs: readTime(), last: read() };
    if (points.head.firstMs > points.head.lastMs) throw new PartialStateError("its points are out of order");
  }
  for (let left = Math.floor(form / 2); left > 0; left--) {
    const newest = points.times.at(-1) ?? points.head?.lastMs ?? -Infinity;
    if (readTime() <= newest) throw new PartialStateError("its points are out of order");
    points.times.push(before);
    points.values.push(read());
  }
  return points;
}

/** A whole number as its growth since the one before, which is small; others as they are. */
function writeGrowth(writer: StateWriter): (value: number) => void {
  let before = 0;
  return (value) => {
    if (isSmallWhole(value) && isSmallWhole(before)) writer.number(value - before);
    else writer.float(value);
    before = value;
  };
}

function readGrowth(reader: StateReader): () => number {
  let before = 0;
  return () => {
    before = reader.isFloat() ? reader.number() : before + reader.number();
    return before;
  };
}

/** So that the difference of two is exact, and no float to the writer. */
function isSmallWhole(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) < 2 ** 48;
}

function writeSeen(writer: StateWriter): (seen: Seen) => void {
  let before: Sketch | undefined;
  return ({ count, sum, sketch }) => {
    writer.whole(count);
    writer.number(sum);
    const base = before && hasSameKeys(before, sketch) ? before : undefined;
    if (before) writer.byte(base ? 1 : 0);
    if (base) writeGrowthOf(writer, sketch, base);
    else writeSketch(writer, sketch);
    before = sketch;
  };
}

function readSeen(reader: StateReader): () => Seen {
  let before: Sketch | undefined;
  return () => {
    const count = reader.whole();
    const sum = reader.number();
    before = before && reader.byte() === 1 ? readGrowthOf(reader, before) : readSketch(reader);
    return { count, sum, sketch: before };
  };
}
