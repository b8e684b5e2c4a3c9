// A sketch as bytes of a stored partial.
//
//   sketch     = zero bins bins                       of the positive values, then of the negative ones
//   bins       = length (key count)*                  a key: how many lie between it and the one before
//   growth     = zero count*                          of a sketch with the same keys as the one before it: what came to each
import { MAX_BINS, MAX_KEY, type Bins, type Sketch } from "./sketch.ts";
import { PartialStateError, type StateReader, type StateWriter } from "./state-bytes.ts";

export function writeSketch(writer: StateWriter, { zero, positive, negative }: Sketch): void {
  writer.whole(zero);
  writeBins(writer, positive);
  writeBins(writer, negative);
}

export function readSketch(reader: StateReader): Sketch {
  return { zero: reader.whole(), positive: readBins(reader), negative: readBins(reader) };
}

function writeBins(writer: StateWriter, { keys, counts }: Bins): void {
  writer.whole(keys.length);
  let before = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as number;
    if (i === 0) writer.signed(key);
    else writer.whole(key - before - 1);
    before = key;
    writer.whole(counts[i] as number);
  }
}

function readBins(reader: StateReader): Bins {
  const length = reader.length(MAX_BINS);
  const bins: Bins = { keys: [], counts: [] };
  let key = 0;
  for (let i = 0; i < length; i++) {
    key = i === 0 ? reader.signed() : key + reader.whole() + 1;
    if (Math.abs(key) > MAX_KEY) throw new PartialStateError("a bin in it is of no number");
    bins.keys.push(key);
    bins.counts.push(reader.whole());
  }
  return bins;
}

export function hasSameKeys(a: Sketch, b: Sketch): boolean {
  return isEqual(a.positive.keys, b.positive.keys) && isEqual(a.negative.keys, b.negative.keys);
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i]);
}

/** Counts of a sketch with the same keys as the one before it. */
export function writeGrowthOf(writer: StateWriter, sketch: Sketch, before: Sketch): void {
  writer.signed(sketch.zero - before.zero);
  for (const sign of ["positive", "negative"] as const)
    sketch[sign].counts.forEach((count, i) => writer.signed(count - (before[sign].counts[i] as number)));
}

export function readGrowthOf(reader: StateReader, before: Sketch): Sketch {
  const grown = (count: number) => {
    const now = count + reader.signed();
    if (now < 0) throw new PartialStateError("a count in it is below 0");
    return now;
  };
  // A sketch that is a point's is never changed in place: they share their keys.
  const bins = ({ keys, counts }: Bins): Bins => ({ keys, counts: counts.map(grown) });
  return { zero: grown(before.zero), positive: bins(before.positive), negative: bins(before.negative) };
}
