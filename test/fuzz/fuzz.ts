// A run: so many bodies, each judged, with the figures of all of them and what was found, each kind of finding once.
import { bodyMaker } from "./bodies/body-maker.ts";
import { bytesBoundMs, type Part } from "./cpu-meter.ts";
import type { FuzzCase } from "./bodies/fuzz-case.ts";
import { judge, type Judgement, type Oracle } from "./judge.ts";
import type { FuzzOptions } from "./options.ts";
import type { Seed } from "./bodies/seeds.ts";

export interface Found {
  body: number;
  oracle: Oracle;
  detail: string;
  given: FuzzCase;
}

export interface Figures {
  bodies: number;
  ms: number;
  outcomes: Record<Judgement["outcome"], number>;
  /** Of bodies of 1 MB and more, with decoding and reading taken together. */
  worstCpu: { msPerMb: number; body: number };
  /** Bodies whose reading and decoding took more than their bytes alone allow. */
  overBytesBound: number;
  slowest: { ms: number; body: number; part: Part };
  mostHeld: { bytes: number; body: number };
  measuredMemory: number;
}

const MB = 2 ** 20;

/** Memory is measured of every body from this size on, and of one small body in so many. */
const LARGE_BYTES = 256 * 1024;
const SMALL_ONE_IN = 400;

export async function fuzz(
  seeds: readonly Seed[],
  { seed, bodies, first, heavy }: FuzzOptions,
  onProgress: (done: number) => void,
): Promise<{ figures: Figures; found: Found[] }> {
  const make = bodyMaker(seeds, { heavyOneIn: heavy });
  const found = new Map<string, Found>();
  const figures: Figures = {
    bodies,
    ms: 0,
    outcomes: { refused: 0, taken: 0, partly: 0, none: 0 },
    worstCpu: { msPerMb: 0, body: first },
    overBytesBound: 0,
    slowest: { ms: 0, body: first, part: "decode" },
    mostHeld: { bytes: 0, body: first },
    measuredMemory: 0,
  };
  const startedMs = performance.now();
  for (let body = first; body < first + bodies; body++) {
    const given = make(seed, body);
    const judgement = await judge(given, judgingOf(given, body));
    note(figures, judgement, body);
    for (const { oracle, detail } of judgement.findings) {
      const kind = `${given.decoder} ${oracle} ${detail.replaceAll(/\d+/g, "#").slice(0, 80)}`;
      if (!found.has(kind)) found.set(kind, { body, oracle, detail, given });
    }
    onProgress(body - first + 1);
  }
  figures.ms = performance.now() - startedMs;
  return { figures, found: [...found.values()] };
}

/** The same for a body of the same number, so that it can be judged again alone. */
export function judgingOf({ body }: FuzzCase, number: number) {
  return {
    isMemoryMeasured: body.length >= LARGE_BYTES || number % SMALL_ONE_IN === 0,
    isScrubbed: number % 5 === 0,
  };
}

function note(figures: Figures, { outcome, cpu, decodedBytes, heldBytes }: Judgement, body: number): void {
  figures.outcomes[outcome]++;
  for (const part of ["read", "decode", "prepare", "consume"] as const) {
    const ms = cpu[part]?.ms ?? 0;
    if (ms > figures.slowest.ms) figures.slowest = { ms, body, part };
  }
  const ms = (cpu.read?.ms ?? 0) + (cpu.decode?.ms ?? 0);
  if (ms > bytesBoundMs(decodedBytes)) figures.overBytesBound++;
  const msPerMb = ms / (decodedBytes / MB);
  if (decodedBytes >= MB && msPerMb > figures.worstCpu.msPerMb) figures.worstCpu = { msPerMb, body };
  if (heldBytes === undefined) return;
  figures.measuredMemory++;
  if (heldBytes > figures.mostHeld.bytes) figures.mostHeld = { bytes: heldBytes, body };
}
