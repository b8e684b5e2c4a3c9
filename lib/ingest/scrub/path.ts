// Where a scrub rule applies: steps with dots between, `*` for any one step, `**` for any number of them. A key that has
// dots in it is met as one step in quotes (`attributes["service.name"]`) and as the steps that its dots make
// (`attributes.service.name`), since OTLP writes in one key what JSON nests. An array's elements are steps `0`, `1`, ….

/** One step of a path; a literal is met as it is, in upper and lower case. */
export type Step = { kind: "any" } | { kind: "deep" } | { kind: "key"; key: string };

const MAX_STEPS = 32;

/** @returns the steps, or what is wrong with the path */
export function parsePath(path: string): Step[] | string {
  const steps: Step[] = [];
  let at = 0;
  while (at < path.length) {
    if (path[at] === "[") {
      const match = /^\[(\d{1,6}|"(?:[^"\\]|\\.)*")\]/.exec(path.slice(at));
      const inside = match?.[1];
      if (inside === undefined) return 'has a `[` without `["key"]` or `[0]`';
      const key = inside.startsWith('"') ? parseQuoted(inside) : inside;
      if (key === undefined) return "has a quoted key that is not a JSON text";
      steps.push({ kind: "key", key });
      at += inside.length + 2;
    } else {
      const end = /[.[]/.exec(path.slice(at))?.index ?? path.length - at;
      const text = path.slice(at, at + end);
      if (text === "") return "has an empty step";
      steps.push(
        text === "**" ? { kind: "deep" } : text === "*" ? { kind: "any" } : { kind: "key", key: text },
      );
      at += end;
    }
    if (path[at] === ".") {
      at++;
      if (at === path.length) return "ends with a dot";
    }
  }
  if (steps.length === 0) return "is empty; leave it out to mean every text";
  if (steps.length > MAX_STEPS) return `has more than ${MAX_STEPS} steps`;
  // At the end it means what lies below, not the place itself too.
  if (steps.at(-1)?.kind === "deep") steps.push({ kind: "any" });
  return steps;
}

function parseQuoted(text: string): string | undefined {
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}

/** The places in `steps` that can be reached from `at` by taking `key` as one step; `steps.length` is the end. */
function takeKey(steps: readonly Step[], at: number, key: string, into: Set<number>): void {
  const step = steps[at];
  if (step === undefined) return;
  if (step.kind === "deep") {
    into.add(at);
    takeKey(steps, at + 1, key, into);
  } else if (step.kind === "any" || step.key === key) into.add(at + 1);
}

/** The same for a key of the data, whole or by its dots. */
export function advance(steps: readonly Step[], from: ReadonlySet<number>, key: string): Set<number> {
  const reached = new Set<number>();
  for (const at of from) takeKey(steps, at, key, reached);
  if (!key.includes(".")) return reached;
  let places = from;
  for (const part of key.split(".", MAX_STEPS + 1)) {
    const next = new Set<number>();
    for (const at of places) takeKey(steps, at, part, next);
    places = next;
    if (places.size === 0) break;
  }
  for (const at of places) reached.add(at);
  return reached;
}
