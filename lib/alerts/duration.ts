// Spans of time as people write them: `10s`, `5m`, `1h30m`, `250ms`. Refuses what has no unit, and nothing at all.

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** For what says how a span is written. */
export const DURATION_PATTERN = /^(\d{1,9}(ms|[smhd]))+$/;

/** @returns undefined where the text is no span of time */
export function parseDuration(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  let totalMs = 0;
  for (const [, digits = "", unit = ""] of text.matchAll(/(\d+)(ms|[smhd])/g))
    totalMs += Number(digits) * (UNITS_MS[unit] ?? 0);
  return totalMs;
}

/** The shortest form: `90000` is `1m30s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs <= 0) return "0s";
  let restMs = Math.round(durationMs);
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const unitMs = UNITS_MS[unit] ?? 1;
    const whole = Math.floor(restMs / unitMs);
    if (whole > 0) text += `${whole}${unit}`;
    restMs -= whole * unitMs;
  }
  return text;
}
