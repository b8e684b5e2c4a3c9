// What the driver has this worker do to itself: stand still at a step, fail its store, shift its clock, leave one
// mechanism out. Plain data of the isolate, which the objects share with the routes; gone with the process.
import { env as bindings } from "cloudflare:workers";

/** Of the product, one at a time: the suite must notice each. */
export type Mutation =
  | "fence"
  | "claims"
  | "spill"
  | "order"
  | "outbox"
  | "edge-counter"
  | "drop-envelope"
  | "alert-fence"
  | "alert-outbox"
  | "alert-tick";

/** Longer than the driver waits for it; then the worker goes on by itself. */
const HOLD_MS = 15_000;
const POLL_MS = 10;

interface Hooks {
  /** The next one who comes to this step stands still. */
  holdAt: string | undefined;
  /** Where somebody stands now. */
  heldAt: string | undefined;
  /** How many of the next writes fail before they are written, and after. */
  failBefore: number;
  failAfter: number;
  /** Every call of the store fails. */
  isStoreAway: boolean;
  /** What the clock is ahead by. */
  skewMs: number;
}

export const hooks: Hooks = {
  holdAt: undefined,
  heldAt: undefined,
  failBefore: 0,
  failAfter: 0,
  isStoreAway: false,
  // From the first moment of a life on: an alarm may come before the driver does.
  skewMs: Number((bindings as { CHAOS_SKEW_MS?: string }).CHAOS_SKEW_MS ?? 0),
};

/** Called where a crash must do no harm; the driver kills the process while somebody stands here. */
export async function pass(step: string): Promise<void> {
  if (hooks.holdAt !== step) return;
  hooks.holdAt = undefined;
  hooks.heldAt = step;
  for (let waitedMs = 0; hooks.heldAt === step && waitedMs < HOLD_MS; waitedMs += POLL_MS)
    await scheduler.wait(POLL_MS);
  if (hooks.heldAt === step) hooks.heldAt = undefined;
}

export const mutationOf = (env: Env): Mutation | undefined =>
  (env as unknown as { CHAOS_MUTATE?: Mutation }).CHAOS_MUTATE;

const TrueDate = Date;

/** The clock of everything in this isolate, alarms too (objects.ts). */
class ShiftedDate extends TrueDate {
  constructor(...parts: []) {
    if (parts.length === 0) super(TrueDate.now() + hooks.skewMs);
    else super(...parts);
  }

  static override now(): number {
    return TrueDate.now() + hooks.skewMs;
  }
}
globalThis.Date = ShiftedDate as DateConstructor;
