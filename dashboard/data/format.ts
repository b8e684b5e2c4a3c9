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

/** Every digit, where figures must add up before the reader's eyes. */
export function formatWhole(value: number | undefined): string {
  if (value === undefined) return unknown;
  return value.toLocaleString("en-GB").replace("-", "−");
}

/** How long something has lasted, in the unit that a person would say: 40 s, 3 min, 2 h 5 min, 4 d. */
export function formatAge(ageMs: number): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return `${minutes} min`;
  if (hours >= 48) return `${Math.floor(hours / 24)} d`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** `1 record`, `2 records`. */
export function formatNumberOf(value: number, noun: string): string {
  return `${formatWhole(value)} ${noun}${value === 1 ? "" : "s"}`;
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
