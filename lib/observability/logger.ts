// One JSON line per happening, to the console, where Workers' logs and `npm start` pick it up. Callers pass names and
// figures, never bodies, keys or headers.
export type LogFields = Record<string, string | number | boolean | undefined>;

export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type LogLevel = keyof Logger;

function write(level: LogLevel, event: string, fields: LogFields | undefined): void {
  // oxlint-disable-next-line no-console -- the one place that writes to it
  console[level](JSON.stringify({ level, event, time: new Date().toISOString(), ...fields }));
}

export const logger: Logger = {
  debug: (event, fields) => write("debug", event, fields),
  info: (event, fields) => write("info", event, fields),
  warn: (event, fields) => write("warn", event, fields),
  error: (event, fields) => write("error", event, fields),
};
