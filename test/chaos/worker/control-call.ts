// What the driver may ask of the chaos worker: the two sides of POST /__chaos share this shape.

export type ControlCall =
  | { op: "hold"; step: string }
  | { op: "held" }
  | { op: "release" }
  | { op: "store"; failBefore?: number; failAfter?: number; isAway?: boolean }
  | { op: "clock"; skewMs: number }
  | { op: "evict"; classes: string[] }
  | { op: "ticks"; times: number }
  | { op: "race"; topic: string; times: number }
  | { op: "race-alerts"; tenant: string }
  | { op: "due-alerts"; tenant: string }
  | { op: "pending" };

/** An alert that would come to this state if it were judged now. */
export interface DueTransition {
  rule: string;
  labels: Record<string, string>;
  state: string;
}
