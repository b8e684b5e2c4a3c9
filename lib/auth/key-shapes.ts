// The bodies of the keys' administration, as zod shapes: what is taken (strictly: an unknown field is a fault) and what
// is answered. What depends on who asks, or on the clock, is key-admin.ts's.
import { z } from "zod";
import { SIGNALS } from "../telemetry/signal.ts";
import { SCOPES } from "./api-key.ts";
import { originFault } from "./origin.ts";

export const MAX_OVERLAP_SECONDS = 7 * 24 * 3600;
const MAX_NAME_CHARS = 100;
const MAX_ORIGINS = 50;
const MAX_ORIGIN_CHARS = 300;
/** Beyond what a deployment can carry; keeps sums of them exact. */
const MAX_RATE = 1_000_000_000;

const rate = z.number().positive("must be above 0").max(MAX_RATE);

export const keyLimitsShape = z
  .strictObject({
    requests_per_second: rate.describe("requests per second, on average"),
    burst: z.int().min(1).max(MAX_RATE).describe("requests at once, after a pause"),
    records_per_second: rate.optional(),
    bytes_per_second: rate.optional().describe("as sent; of the decoded body where its length is not told"),
  })
  .describe("a quota of the key's own, instead of its tenant's; only operators give one");

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export const tenantShape = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/,
    "letters, digits, `_`, `-`, at most 64, a letter or digit first",
  );

const keyNameShape = z
  .string()
  .trim()
  .min(1)
  .max(MAX_NAME_CHARS)
  .refine(
    (text) => text.isWellFormed() && !CONTROL.test(text),
    "must hold neither control characters nor lone surrogates",
  );

const isUnique = (list: readonly string[]) => new Set(list).size === list.length;
const TWICE = "names one twice";

const scopesShape = z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).refine(isUnique, TWICE);
const signalsShape = z.array(z.enum(SIGNALS)).min(1).max(SIGNALS.length).refine(isUnique, TWICE);
const originShape = z
  .string()
  .max(MAX_ORIGIN_CHARS)
  .meta({ examples: ["https://app.example.com", "https://*.example.com"] })
  .check((context) => {
    const message = originFault(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", input: context.value, message });
  });
const originsShape = z.array(originShape).min(1).max(MAX_ORIGINS).refine(isUnique, TWICE);

export const newKeyShape = z
  .strictObject({
    name: keyNameShape.describe("what it is for"),
    scopes: scopesShape.describe("what it opens; nobody can grant one that he does not have"),
    signals: signalsShape.optional().describe("which signals it may ingest; left out: all"),
    origins: originsShape
      .optional()
      .describe("makes it a key for browsers, good for ingest from these origins only"),
    limits: keyLimitsShape.optional(),
    expires_at: z.iso
      .datetime({ offset: true, error: "must be an ISO 8601 time with a zone" })
      .optional()
      .describe("when it ends; left out: never"),
    tenant: tenantShape.optional().describe("whose it is; another than one's own takes the scope operator"),
  })
  .check(({ value, issues }) => {
    const { scopes, signals, origins } = value;
    const fault = (field: string, message: string) =>
      issues.push({ code: "custom", input: value, path: [field], message });
    if (origins && !(scopes.length === 1 && scopes[0] === "ingest"))
      fault("scopes", 'must be ["ingest"] beside `origins`: what a browser holds, everybody can read');
    if (signals && !scopes.includes("ingest")) fault("signals", "goes with the scope ingest only");
  });
export type NewKeyInput = z.output<typeof newKeyShape>;

export const rotationShape = z.strictObject({
  overlap_seconds: z
    .int()
    .min(0)
    .max(MAX_OVERLAP_SECONDS)
    .default(0)
    .describe("for how long the secret before it is good, too; at most 7 days"),
});

const nullableText = z.string().nullable();

/** A key as it is listed: everything but its secret. */
export const keyShape = z.object({
  id: z.string(),
  name: z.string(),
  tenant: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  signals: z.array(z.enum(SIGNALS)).nullable(),
  origins: z.array(z.string()).nullable(),
  limits: keyLimitsShape.nullable(),
  created_at: z.string(),
  created_by: nullableText.describe("id of the key that made it"),
  expires_at: nullableText,
  rotated_at: nullableText,
  rotated_by: nullableText,
  previous_until: nullableText.describe("until when the secret before the last rotation is good"),
  revoked_at: nullableText,
  revoked_by: nullableText,
});
export type Key = z.output<typeof keyShape>;

/** The answer to making and to rotating one: the only time that the key itself is told. */
export const issuedKeyShape = keyShape.extend({ key: z.string() });
export type IssuedKey = z.output<typeof issuedKeyShape>;
