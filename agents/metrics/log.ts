// Lines for the person who runs the agent, on stderr. Whatever a line quotes, the key does not get out, and a
// server's text cannot steer the terminal. `sayOnce` keeps one trouble from filling a log once per interval.

export interface Log {
  say(line: string): void;
  /** Says a line unless the same `trouble` has been said since the last `clear`. */
  sayOnce(trouble: string, line: string): void;
  /** Forgets the troubles whose name begins with `prefix`, for they are over; true when one had been said. */
  clear(prefix: string): boolean;
}

const maxLineLength = 600;

/** C0 and C1 controls: a problem's `detail` is foreign text and must not reach a terminal as an escape sequence. */
const controls = /\p{Cc}+/gu;

export function createLog(key: string, write: (text: string) => void): Log {
  const said = new Set<string>();
  const say = (line: string): void => {
    const clean = line.replaceAll(key, "[key]").replace(controls, " ").slice(0, maxLineLength);
    write(`weir-metrics-agent: ${clean}\n`);
  };
  return {
    say,
    sayOnce(trouble, line) {
      if (said.has(trouble)) return;
      said.add(trouble);
      say(line);
    },
    clear(prefix) {
      const over = [...said].filter((trouble) => trouble.startsWith(prefix));
      for (const trouble of over) said.delete(trouble);
      return over.length > 0;
    },
  };
}
