// What `npm start` shows: each child's lines under its name, a spinner while starting (on a terminal only), and, when
// all is ready, what to do next. Colours only on a terminal and without NO_COLOR.
import { relative } from "node:path";
import type { StartSettings } from "./start-settings.ts";

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 80;
const nameWidth = 6;
const clearLine = "\r\u001b[2K";

export class Terminal {
  readonly #isTty = process.stdout.isTTY;
  readonly #colours = this.#isTty && !process.env["NO_COLOR"];
  #spinner: { text: string; frame: number; timer: NodeJS.Timeout } | undefined;

  constructor() {
    // Whoever read us may be gone (npm killed, a closed pipe); ending in order must not fail on that.
    process.stdout.on("error", () => {});
    process.stderr.on("error", () => {});
  }

  line(name: string, text: string): void {
    const prefix = this.#dim(`${name.padEnd(nameWidth)} │`);
    this.#write(`${prefix} ${readable(text)}\n`);
  }

  /** For what needs attention: under our own name, in bold. */
  note(text: string): void {
    this.line("weir", this.#colours ? `\u001b[1;33m${text}\u001b[0m` : text);
  }

  error(text: string): void {
    this.spin(undefined);
    process.stderr.write(this.#colours ? `\u001b[1;31m${text}\u001b[0m\n` : `${text}\n`);
  }

  /** Shows what is going on until the next call; undefined ends it. Nothing off a terminal. */
  spin(text: string | undefined): void {
    if (!this.#isTty) return;
    if (this.#spinner) {
      clearInterval(this.#spinner.timer);
      process.stdout.write(clearLine);
      this.#spinner = undefined;
    }
    if (text === undefined) return;
    const timer = setInterval(() => this.#draw(), frameMs);
    timer.unref();
    this.#spinner = { text, frame: 0, timer };
    this.#draw();
  }

  ready(settings: StartSettings, run: { url: string; kafkaUrl: string | undefined; tookMs: number }): void {
    this.spin(undefined);
    const { devKey } = settings;
    const rows: [string, string][] = [["dashboard", `${run.url}/`]];
    rows.push(["kafka", run.kafkaUrl ?? settings.kafkaElsewhere]);
    rows.push([
      "key",
      devKey ?? "one of yours: the development key is refused outside ENVIRONMENT=development",
    ]);
    const body = `{"level":"INFO","service":"shell","message":"hello from curl"}`;
    const curl = `curl ${run.url}/api/v1/logs -H 'Authorization: Bearer ${devKey ?? "YOUR_KEY"}' -H 'Content-Type: application/json' -d '${body}'`;
    const inside = relative(process.cwd(), settings.dataDir);
    const folder = inside === "" || inside.startsWith("..") ? settings.dataDir : inside;
    this.#write(
      [
        "",
        `  ${this.#bold("Weir is ready")} ${this.#dim(`in ${(run.tookMs / 1_000).toFixed(1)} s`)}`,
        "",
        ...rows.map(([label, value]) => `  ${this.#dim(label.padEnd(10))} ${value}`),
        "",
        `  ${this.#dim("Send a log:")}`,
        `  ${curl}`,
        "",
        `  ${this.#dim(`Ctrl-C stops it. The data stays in ${folder}.`)}`,
        "",
        "",
      ].join("\n"),
    );
  }

  #write(text: string): void {
    process.stdout.write(this.#spinner ? clearLine + text : text);
    if (this.#spinner) this.#draw();
  }

  #draw(): void {
    if (!this.#spinner) return;
    this.#spinner.frame = (this.#spinner.frame + 1) % frames.length;
    process.stdout.write(`${clearLine}${frames[this.#spinner.frame]} ${this.#spinner.text}`);
  }

  #dim(text: string): string {
    return this.#colours ? `\u001b[2m${text}\u001b[0m` : text;
  }

  #bold(text: string): string {
    return this.#colours ? `\u001b[1m${text}\u001b[0m` : text;
  }
}

/** The worker logs JSON, for machines; here a person reads: `error event: message (field=value …)`. */
function readable(line: string): string {
  if (!line.startsWith('{"level":')) return line;
  try {
    const {
      level,
      event,
      time: _,
      message,
      ...rest
    } = JSON.parse(line) as Record<string, string | number | boolean>;
    const fields = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`);
    const said = message === undefined ? "" : `: ${String(message)}`;
    return `${String(level)} ${String(event)}${said}${fields.length > 0 ? ` (${fields.join(" ")})` : ""}`;
  } catch {
    return line;
  }
}
