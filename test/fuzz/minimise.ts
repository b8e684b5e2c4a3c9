// Makes a body that goes wrong as short as it can be while it still goes wrong (delta debugging, Zeller 2002).
import { joined, type Bytes } from "./bodies/mutate-bytes.ts";

export interface MinimiseLimits {
  maxTries: number;
  maxMs: number;
}

export async function minimise(
  body: Bytes,
  isStillWrong: (body: Bytes) => Promise<boolean>,
  { maxTries, maxMs }: MinimiseLimits,
): Promise<Bytes> {
  const untilMs = performance.now() + maxMs;
  let kept = body;
  let tries = 0;
  for (let parts = 2; parts <= kept.length * 2;) {
    const length = Math.max(1, Math.ceil(kept.length / parts));
    let isShorter = false;
    for (let at = 0; at < kept.length;) {
      if (++tries > maxTries || performance.now() > untilMs) return kept;
      const without = joined(kept.subarray(0, at), kept.subarray(at + length));
      if (await isStillWrong(without)) {
        kept = without;
        isShorter = true;
      } else at += length;
    }
    if (length === 1 && !isShorter) return kept;
    if (!isShorter || length > 1) parts *= 2;
    if (length === 1) parts = kept.length;
  }
  return kept;
}
