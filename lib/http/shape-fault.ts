// What zod finds wrong in a body, as Weir's rejections: the reason, where, and a sentence that tells what would be right.
import type { z } from "zod";
import type { Reason } from "../telemetry/reasons.ts";
import { ok, type Rejection, type Result } from "../telemetry/result.ts";

/** Names come from outside; an answer repeats no more of one. */
const MAX_PATH_CHARS = 200;

/** Checks a parsed body against a shape. All faults are told at once, at least one. */
export function parseShape<T>(shape: z.ZodType<T>, body: unknown): Result<T, [Rejection, ...Rejection[]]> {
  const parsed = shape.safeParse(body, { error: messageOf });
  if (parsed.success) return ok(parsed.data);
  const [first, ...rest] = parsed.error.issues.flatMap(rejectionsOf);
  return {
    ok: false,
    error: [first ?? { reason: "wrong_type", path: "", message: UNUSABLE }, ...rest],
  };
}

function rejectionsOf(issue: z.core.$ZodIssue): Rejection[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((name) => ({
      reason: "unknown_field",
      path: pathOf([...issue.path, name]),
      message: "is not known here",
    }));
  return [{ reason: reasonOf(issue), path: pathOf(issue.path), message: issue.message }];
}

function reasonOf(issue: z.core.$ZodIssue): Reason {
  switch (issue.code) {
    case "invalid_type":
      return issue.message === MISSING ? "missing_field" : "wrong_type";
    case "too_big":
      return issue.origin === "string" ? "too_long" : "wrong_type";
    case "invalid_format":
      return issue.format === "datetime" ? "invalid_timestamp" : "wrong_type";
    default:
      return "wrong_type";
  }
}

const MISSING = "is missing";
const UNUSABLE = "cannot be used";

/** A shape's own words go before these. */
function messageOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? MISSING
        : `must be ${issue.expected === "int" ? "a whole number" : `of the type ${issue.expected}`}`;
    case "too_big":
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    case "too_small":
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case "invalid_value":
      return `must be one of ${issue.values.join(", ")}`;
    case "invalid_format":
      return issue.format === "datetime" ? "must be a time such as 2026-11-21T10:00:00Z" : UNUSABLE;
    default:
      return UNUSABLE;
  }
}

function unitOf(origin: string): string {
  if (origin === "string") return " characters long";
  return origin === "array" ? " long" : "";
}

function pathOf(path: readonly PropertyKey[]): string {
  return path
    .reduce<string>((text, part) => {
      if (typeof part === "number") return `${text}[${part}]`;
      return text === "" ? String(part) : `${text}.${String(part)}`;
    }, "")
    .slice(0, MAX_PATH_CHARS)
    .toWellFormed();
}
