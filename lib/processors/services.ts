// The setting SERVICES: what is added to the logs of a service, `{"api":{"team":"core","tier":1}}`. Read once; every fault
// is named by its place, and no value of the setting is repeated.
import { z } from "zod";
import { checkKey, joinPath, type JsonObject } from "../telemetry/json-value.ts";
import { nameShape, shortTextShape } from "../telemetry/record.ts";
import { ok, type Result } from "../telemetry/result.ts";

const MAX_SERVICES = 1_000;
const MAX_KEYS = 50;

const storableText = shortTextShape.refine((text) => !text.includes("\0"), "must not hold a NUL");
const metadataShape = z
  .record(nameShape, z.union([storableText, z.number(), z.boolean()]))
  .refine((metadata) => Object.keys(metadata).length <= MAX_KEYS, `at most ${MAX_KEYS} keys`);
const servicesShape = z
  .record(shortTextShape.min(1), metadataShape)
  .refine((services) => Object.keys(services).length <= MAX_SERVICES, `at most ${MAX_SERVICES} services`);

export type Services = ReadonlyMap<string, JsonObject>;

export interface SettingFault {
  path: string;
  message: string;
}

/** @param text undefined: there is none */
export function parseServices(text: string | undefined): Result<Services, SettingFault[]> {
  if (text === undefined || text.trim() === "") return ok(new Map());
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fault("", 'must be JSON such as {"api": {"team": "core"}}');
  }
  const forbidden = forbiddenKey(json);
  if (forbidden) return fault(forbidden, "is not allowed as a key");
  const services = servicesShape.safeParse(json);
  if (!services.success) {
    const faults = services.error.issues.map(({ path, message }) => ({
      path: path.reduce<string>(
        (at, step) => joinPath(at, typeof step === "number" ? step : String(step)),
        "",
      ),
      message,
    }));
    return { ok: false, error: faults };
  }
  return ok(new Map(Object.entries(services.data)));
}

/** `__proto__`, which zod would leave out without a word, or half a pair of UTF-16. @returns its path */
function forbiddenKey(json: unknown): string | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  for (const [service, metadata] of Object.entries(json as Record<string, unknown>)) {
    const path = joinPath("", service);
    if (checkKey(service, () => path)) return path.toWellFormed();
    for (const key of Object.keys(metadata ?? {})) {
      if (checkKey(key, () => path)) return joinPath(path, key).toWellFormed();
    }
  }
  return undefined;
}

const fault = (path: string, message: string): Result<never, SettingFault[]> => ({
  ok: false,
  error: [{ path, message }],
});
