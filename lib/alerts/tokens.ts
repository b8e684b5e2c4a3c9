// The words of an alert rule's expression, each with the column where it stands (from 1).
import type { Result } from "../telemetry/result.ts";
import { DURATION_PATTERN, parseDuration } from "./duration.ts";

export interface ExpressionFault {
  column: number;
  /** What is wrong, and how to write it. */
  message: string;
}

export type Token = { column: number; text: string } & (
  | { kind: "name" | "operator" | "sign" | "end" }
  | { kind: "text"; value: string }
  | { kind: "number"; value: number }
  | { kind: "duration"; value: number }
);

const NAME = /[A-Za-z_][\w.:/-]*/y;
const TEXT = /"((?:[^"\\]|\\["\\])*)"/y;
const NUMBER = /[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])/iy;
const DURATION = /(?:\d+[A-Za-z]+)+/y;
const OPERATOR = />=|<=|==|!=|>|</y;
const SIGN = /[(){},=]/y;
const SPACE = /\s+/y;

export function tokensOf(text: string): Result<Token[], ExpressionFault> {
  const tokens: Token[] = [];
  let place = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = place;
    const found = pattern.exec(text);
    if (!found) return undefined;
    place += found[0].length;
    return found;
  };
  while (place < text.length) {
    if (take(SPACE)) continue;
    const column = place + 1;
    let found: RegExpExecArray | undefined;
    if ((found = take(NAME))) tokens.push({ kind: "name", column, text: found[0] });
    else if ((found = take(TEXT)))
      tokens.push({
        kind: "text",
        column,
        text: found[0],
        value: (found[1] ?? "").replaceAll(/\\(["\\])/g, "$1"),
      });
    else if ((found = take(NUMBER)))
      tokens.push({ kind: "number", column, text: found[0], value: Number(found[0]) });
    else if ((found = take(DURATION))) {
      const value = DURATION_PATTERN.test(found[0]) ? parseDuration(found[0]) : undefined;
      if (value === undefined)
        return fault(column, `\`${found[0]}\` is no span of time; write it as in 30s, 5m, 1h or 100ms`);
      tokens.push({ kind: "duration", column, text: found[0], value });
    } else if ((found = take(OPERATOR))) tokens.push({ kind: "operator", column, text: found[0] });
    else if ((found = take(SIGN))) tokens.push({ kind: "sign", column, text: found[0] });
    else return unknownSign(text, column);
  }
  tokens.push({ kind: "end", column: text.length + 1, text: "" });
  return { ok: true, value: tokens };
}

function unknownSign(text: string, column: number): { ok: false; error: ExpressionFault } {
  const sign = String.fromCodePoint(text.codePointAt(column - 1) ?? 0).toWellFormed();
  if (sign === '"') return fault(column, 'this text has no end; close it with "');
  if (sign === "'") return fault(column, 'texts stand in double quotes, as in host="web-1"');
  if (sign === "~")
    return fault(column, "labels are compared with = and != only; patterns are not supported");
  if (/[-+*/%^\d.]/.test(sign))
    return fault(
      column,
      `\`${sign}\` cannot stand here; there is no arithmetic, compare one value with a number`,
    );
  return fault(column, `\`${sign}\` cannot stand here; a name with such signs goes into double quotes`);
}

export function fault(column: number, message: string): { ok: false; error: ExpressionFault } {
  return { ok: false, error: { column, message } };
}
