// Command line and environment → checked options. A wrong value stops the start and every fault is told at
// once; nothing falls back silently. The flag wins over the variable.

export interface Options {
  url: URL;
  key: string;
  intervalMs: number;
  service: string;
  host: string;
  once: boolean;
}

/** What the command line gave, still unchecked. */
export type Flags = Readonly<Record<string, unknown>>;

export type ParsedOptions = { ok: true; options: Options } | { ok: false; faults: string[] };

const flagNames = new Set(["_", "url", "key", "interval", "service", "host", "once", "help"]);
const maxIntervalSeconds = 3600;

/** The intake's bound on a label's value (contracts.md, limits). */
const maxLabelBytes = 1024;

function text(value: unknown, fallback: string | undefined): string {
  return (typeof value === "string" && value !== "" ? value : (fallback ?? "")).trim();
}

function parseUrl(given: string, faults: string[]): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  // The address itself is not quoted: it may hold credentials.
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    faults.push("--url (WEIR_URL) must be an http or https address such as http://127.0.0.1:8787");
  } else if (url.username || url.password || url.search || url.hash) {
    faults.push(
      "--url (WEIR_URL) must not carry credentials, a query or a fragment; the key goes in WEIR_KEY",
    );
  }
  return url ?? new URL("http://127.0.0.1");
}

/** `defaults.host` is this machine's name. */
export function parseOptions(
  flags: Flags,
  env: Readonly<Record<string, string | undefined>>,
  defaults: { host: string },
): ParsedOptions {
  const faults: string[] = [];
  for (const name of Object.keys(flags)) {
    if (!flagNames.has(name)) faults.push(`--${name} is no option of this command (see --help)`);
  }
  for (const [name, value] of Object.entries(flags)) {
    // `--key --once`: the parser takes the next flag for the value.
    if (typeof value === "string" && value.startsWith("--")) faults.push(`--${name} lacks its value`);
  }
  if (Array.isArray(flags["_"]) && flags["_"].length > 0) faults.push("this command takes options only");

  const url = parseUrl(text(flags["url"], env["WEIR_URL"]) || "http://127.0.0.1:8787", faults);
  const key = text(flags["key"], env["WEIR_KEY"]);
  if (key === "") faults.push("no key: set WEIR_KEY (better than --key, which shows in `ps`)");
  // Anything else could not stand in a header, and fetch would quote it whole in its error.
  else if (!/^[\x21-\x7e]+$/.test(key))
    faults.push("the key (WEIR_KEY, --key) holds a space or a special character");

  const seconds = Number(text(flags["interval"], "5"));
  if (!(seconds >= 1 && seconds <= maxIntervalSeconds)) {
    faults.push(`--interval must be a number of seconds from 1 to ${maxIntervalSeconds}`);
  }

  const service = text(flags["service"], "host");
  const host = text(flags["host"], defaults.host);
  for (const [name, value] of Object.entries({ service, host })) {
    if (value === "" || Buffer.byteLength(value) > maxLabelBytes) {
      faults.push(`--${name} must be 1 to ${maxLabelBytes} bytes`);
    }
  }

  if (faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    options: { url, key, intervalMs: seconds * 1000, service, host, once: flags["once"] === true },
  };
}
