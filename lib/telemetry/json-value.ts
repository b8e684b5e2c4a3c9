// Checks a free-form JSON value (attributes, event data) before anything walks it recursively: depth, key names,
// finite numbers, well-formed text. Iterative, because JSON.parse survives depths at which JSON.stringify throws.
import { MAX_DEPTH } from "./limits.ts";
import { reject, type Rejection } from "./result.ts";

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

interface Frame {
  value: unknown;
  /** Where it stands; a path is spelled only when something is refused. */
  parent: Frame | undefined;
  key: string | number;
  depth: number;
}

/**
 * @param path where the value stands in its record, as in `attributes`
 * @param depth nesting of the value itself (2 for a field of a record)
 * @returns the first fault, or undefined
 */
export function checkJsonValue(value: unknown, path: string, depth = 2): Rejection | undefined {
  if (typeof value !== "object" || value === null) return checkLeaf(value, () => path);
  const stack: Frame[] = [{ value, parent: undefined, key: path, depth }];
  for (let frame = stack.pop(); frame; frame = stack.pop()) {
    const current: Frame = frame;
    if (current.depth > MAX_DEPTH) {
      return reject("too_deep", spell(current), `is nested deeper than ${MAX_DEPTH} levels`).error;
    }
    const isArray = Array.isArray(current.value);
    const container = current.value as Record<string, unknown>;
    // For an array the keys would be strings of its indices; walking by index is several times cheaper.
    const keys = isArray ? undefined : Object.keys(container);
    const length = keys ? keys.length : (current.value as unknown[]).length;
    for (let i = 0; i < length; i++) {
      const key = keys ? (keys[i] as string) : i;
      const child = container[key];
      if (keys) {
        const fault = checkKey(key as string, () => spell({ ...current, parent: current, key }));
        if (fault) return fault;
      }
      if (typeof child === "object" && child !== null) {
        stack.push({ value: child, parent: current, key, depth: current.depth + 1 });
      } else {
        const fault = checkLeaf(child, () => spell({ ...current, parent: current, key }));
        if (fault) return fault;
      }
    }
  }
  return undefined;
}

/** A key of user data: `__proto__` is refused (it means something else to many a reader), lone surrogates too. */
export function checkKey(key: string, where: () => string): Rejection | undefined {
  if (key === "__proto__")
    return reject("forbidden_key", where(), "`__proto__` is not allowed as a key").error;
  if (!key.isWellFormed()) {
    return reject("invalid_unicode", where().toWellFormed(), "is a key with a lone surrogate").error;
  }
  return undefined;
}

function checkLeaf(value: unknown, where: () => string): Rejection | undefined {
  if (typeof value === "string" && !value.isWellFormed()) {
    return reject("invalid_unicode", where(), "holds a lone surrogate, which UTF-8 cannot carry").error;
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    return reject("not_finite", where(), "is beyond the range of a 64-bit float").error;
  }
  return undefined;
}

/** Paths in an answer stay short: a value nested 10,000 deep is named by its first steps. */
const MAX_PATH_STEPS = 12;

function spell(frame: Frame): string {
  const steps: (string | number)[] = [];
  for (let at: Frame | undefined = frame; at; at = at.parent) steps.push(at.key);
  steps.reverse();
  const [root = "", ...rest] = steps;
  let path = String(root);
  for (const step of rest.slice(0, MAX_PATH_STEPS)) path = joinPath(path, step);
  return rest.length > MAX_PATH_STEPS ? `${path}…` : path;
}

/** `labels` + `host` → `labels.host`; `items` + 3 → `items[3]`; other keys in quotes: `labels["a b"]`. */
export function joinPath(path: string, step: string | number): string {
  if (typeof step === "number") return `${path}[${step}]`;
  if (!/^[A-Za-z_][A-Za-z0-9_-]{0,99}$/.test(step)) return `${path}[${JSON.stringify(step.slice(0, 100))}]`;
  return path === "" ? step : `${path}.${step}`;
}
