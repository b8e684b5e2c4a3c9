// When a cron expression of wrangler.toml is due. Five fields, UTC, as Cloudflare's triggers have them: `*`, numbers,
// lists, ranges and steps. Refuses names (MON, JAN) and Cloudflare's L, W and #.

const ranges = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [1, 7],
] as const;

/** @throws when the expression is of a form that is not read here */
export function parseCron(expression: string): (at: Date) => boolean {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== ranges.length) throw new Error(`cron "${expression}": five fields are needed`);
  const allowed = fields.map((field, index) => {
    const [min, max] = ranges[index] ?? [0, 0];
    return parseField(expression, field, min, max);
  });
  return (at) => {
    // Cloudflare counts Sunday as 1, where crontab(5) has 0.
    const weekday = at.getUTCDay() + 1;
    const now = [at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, weekday];
    return now.every((value, index) => allowed[index]?.has(value));
  };
}

function parseField(expression: string, field: string, min: number, max: number): Set<number> {
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (!match) throw new Error(`cron "${expression}": "${part}" is not read by the local schedule`);
    const step = Number(match[3] ?? 1);
    const from = match[1] === undefined ? min : Number(match[1]);
    const to =
      match[1] === undefined || (match[2] === undefined && match[3] !== undefined)
        ? max
        : Number(match[2] ?? from);
    if (from < min || to > max || from > to || step < 1) {
      throw new Error(`cron "${expression}": "${part}" is out of range`);
    }
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}
