// Figures as people read them: fixed width where they change in place, a unit always, a dash for what is not known.

const unknown = "–";

export function formatPercent(value: number | undefined): string {
  if (value === undefined) return unknown;
  return `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
}

/** 1,234 below a hundred thousand, then 123k, 1.2M. */
export function formatCount(value: number | undefined): string {
  if (value === undefined) return unknown;
  if (Math.abs(value) < 100_000) return Math.round(value).toLocaleString("en-GB");
  return new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function formatRate(perSecond: number | undefined): string {
  if (perSecond === undefined) return unknown;
  return `${perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond)}/s`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let step = 0;
  let rest = Math.abs(value);
  // 999.5 would round to "1000" of the smaller unit.
  while (rest >= base - 0.5 && step < units.length - 1) {
    rest /= base;
    step += 1;
  }
  return `${rest.toFixed(step === 0 || rest >= 99.5 ? 0 : 1)} ${units[step] ?? ""}`;
}

/** Memory and disks in powers of 1024, as operating systems count them. */
export function formatBytes(bytes: number | undefined): string {
  return bytes === undefined ? unknown : scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
}

/** Networks in powers of 1000, as links are sold. */
export function formatBytesPerSecond(bytes: number | undefined): string {
  return bytes === undefined ? unknown : `${scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB"])}/s`;
}

const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function formatTime(atMs: number): string {
  return clockTime.format(atMs);
}

/** Local time with milliseconds: the order of two log lines is often inside one second. */
export function formatPreciseTime(atMs: number): string {
  return `${clockTime.format(atMs)}.${String(new Date(atMs).getMilliseconds()).padStart(3, "0")}`;
}
