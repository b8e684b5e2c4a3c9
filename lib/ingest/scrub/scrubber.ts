// Takes personal data out of records before anything leaves the edge, by the rules of SCRUB_RULES. Without rules there
// is no scrubber, and no cost. What is left is a record that every reader takes: fields that must be there stay, and
// nothing grows over its limit.
import type { JsonObject, JsonValue } from "../../telemetry/json-value.ts";
import { MAX_LABEL_VALUE_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES } from "../../telemetry/limits.ts";
import { SIGNALS, type NativeRecord, type NativeSignal, type Signal } from "../../telemetry/signal.ts";
import { Reach } from "./reach.ts";
import { MASKED, Replacer, type ScrubCounts } from "./replace.ts";
import { parseScrubRules, PROTECTED_FIELDS, type ScrubFault, type ScrubRule } from "./rules.ts";

/** What a field of a kept record must remain; a field that is not here may be anything, or go. */
interface FieldRule {
  /** In its place where a rule drops it. */
  fallback?: JsonValue;
  maxBytes?: number;
  /** An object that stays one; rules for the whole of it go to its values. */
  isContainer?: true;
  /** Two records that were masked alike would count as one: it is kept whole, hashed, or not at all. */
  isIdentity?: true;
}

const NAME = { fallback: MASKED, maxBytes: MAX_NAME_BYTES };
const FIELDS = new Map<string, FieldRule>([
  ["message", { fallback: "", maxBytes: MAX_MESSAGE_BYTES }],
  ["level", NAME],
  ["name", NAME],
  ["event_type", NAME],
  ["service", { maxBytes: MAX_LABEL_VALUE_BYTES }],
  ["host", { maxBytes: MAX_LABEL_VALUE_BYTES }],
  ["id", { isIdentity: true, maxBytes: MAX_LABEL_VALUE_BYTES }],
  ["key", { isIdentity: true, maxBytes: MAX_LABEL_VALUE_BYTES }],
  ["data", { fallback: null }],
  ["attributes", { isContainer: true }],
  ["labels", { isContainer: true, maxBytes: MAX_LABEL_VALUE_BYTES }],
  ["detail", { isContainer: true }],
]);

/** @returns a scrubber, undefined where there are no rules, or every fault of the settings SCRUB_RULES and SCRUB_SALT */
export function createScrubber(
  rulesJson: string | undefined,
  salt: string | undefined,
): { ok: true; value: Scrubber | undefined } | { ok: false; error: ScrubFault[] } {
  if (rulesJson === undefined) return { ok: true, value: undefined };
  const rules = parseScrubRules(rulesJson);
  if (!rules.ok) return rules;
  if (rules.value.length === 0) return { ok: true, value: undefined };
  const hashing = rules.value.find(({ action }) => action === "hash");
  if (hashing && salt === undefined) {
    return {
      ok: false,
      error: [{ path: `[${hashing.index}].action`, message: "`hash` needs the secret SCRUB_SALT" }],
    };
  }
  return { ok: true, value: new Scrubber(rules.value, salt ?? "") };
}

export class Scrubber {
  readonly replacer: Replacer;
  readonly #ruleCount: number;
  readonly #roots: Record<Signal, Reach>;
  readonly #fields = new Map<string, Reach>();

  constructor(rules: readonly ScrubRule[], salt: string) {
    this.replacer = new Replacer(salt);
    this.#ruleCount = rules.length;
    const roots = SIGNALS.map(
      (signal) => [signal, Reach.root(rules.filter(({ signals }) => signals.has(signal)))] as const,
    );
    this.#roots = Object.fromEntries(roots) as Record<Signal, Reach>;
  }

  /** To be handed to every call of a request: how many values each rule changed, by its place in the setting. */
  newCounts(): ScrubCounts {
    return Array.from({ length: this.#ruleCount }, () => 0);
  }

  root(signal: Signal): Reach {
    return this.#roots[signal];
  }

  /** Changes a kept record in place. */
  scrubRecord(signal: NativeSignal, record: NativeRecord, counts: ScrubCounts): void {
    if (this.#roots[signal].isIdle) return;
    const fields = record as unknown as JsonObject;
    for (const field of Object.keys(fields)) {
      const value = fields[field];
      if (value === undefined || PROTECTED_FIELDS.has(field)) continue;
      const rule = FIELDS.get(field) ?? {};
      const place = this.#placeOf(signal, field);
      const reach = rule.isContainer ? place.kept() : place;
      if (reach.isIdle) continue;
      const left = this.#value(value, reach, counts, rule.maxBytes);
      if (left === value) continue;
      const isUnfit =
        left === undefined || (rule.isIdentity && typeof left === "string" && left.includes(MASKED));
      if (!isUnfit) fields[field] = left;
      else if (rule.fallback === undefined) delete fields[field];
      else fields[field] = rule.fallback;
    }
  }

  /** A field by the names that a rule may give it: OTLP's are taken for the JSON forms, too. */
  #placeOf(signal: NativeSignal, field: string): Reach {
    const known = this.#fields.get(`${signal}.${field}`);
    if (known) return known;
    const root = this.#roots[signal];
    const places: Reach[] = [];
    if (field === "message") places.push(root.down("body"));
    if (field === "labels") places.push(root.down("attributes"));
    if (field === "service") places.push(root.down("resource").down("service.name"));
    if (field === "host") places.push(root.down("resource").down("host.name"));
    const place = Reach.either(root.down(field), ...places);
    if (FIELDS.has(field)) this.#fields.set(`${signal}.${field}`, place);
    return place;
  }

  /** @returns undefined where the value is to go */
  #value(value: JsonValue, reach: Reach, counts: ScrubCounts, maxBytes?: number): JsonValue | undefined {
    if (value === null || reach.isIdle) return value;
    if (typeof value === "string") return this.replacer.scrub(value, reach.forText, counts, maxBytes);
    if (typeof value !== "object") {
      const text = String(value);
      const left = this.replacer.scrub(text, reach.forScalar, counts, maxBytes);
      return left === text ? value : left;
    }
    const [whole] = reach.whole;
    if (whole) return this.replacer.scrub(JSON.stringify(value), [whole], counts);
    if (Array.isArray(value)) {
      const left = value.map((element, i) => this.#value(element, reach.down(String(i)), counts));
      const kept = left.filter((element) => element !== undefined);
      return kept.length === value.length && kept.every((element, i) => element === value[i]) ? value : kept;
    }
    this.#object(value, reach, counts, maxBytes);
    return value;
  }

  #object(object: JsonObject, reach: Reach, counts: ScrubCounts, maxBytes?: number): void {
    const next = new Map<string, number>();
    for (const key of Object.keys(object)) {
      const value = object[key] as JsonValue;
      const left = this.#value(value, reach.down(key), counts, maxBytes);
      const name =
        left === undefined
          ? undefined
          : this.replacer.scrub(key, reach.covering, counts, maxBytes && MAX_NAME_BYTES);
      if (left !== undefined && name === key) {
        if (left !== value) object[key] = left;
        continue;
      }
      delete object[key];
      if (left !== undefined && name !== undefined) object[freeKey(object, name, next)] = left;
    }
  }
}

/**
 * Two keys may have become one text; both values stay.
 * @param next the number to try first for each text: thousands of keys may become one
 */
function freeKey(object: JsonObject, key: string, next: Map<string, number>): string {
  let free = key;
  let n = next.get(key) ?? 2;
  for (; Object.hasOwn(object, free); n++) free = `${key}~${n}`;
  next.set(key, n);
  return free;
}
