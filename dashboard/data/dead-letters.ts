// Dead letters as this page reads them, and the command that shows one whole.
import { shellWord } from "./example-log.ts";
import { list, text } from "./shapes.ts";

export interface DeadLetter {
  id: string;
  tenant: string;
  topic: string;
  /** The reason's name, and what is wrong in words. */
  reason: string;
  error: string;
  atMs: number;
}

export function parseDeadLetters(json: unknown): DeadLetter[] | undefined {
  return list(json, ({ id, tenant, original_topic, error_type, error, dlq_timestamp }) => {
    const atMs = Date.parse(text(dlq_timestamp));
    if (typeof id !== "string" || id === "" || Number.isNaN(atMs)) return undefined;
    return {
      id,
      tenant: text(tenant),
      topic: text(original_topic),
      reason: text(error_type),
      error: text(error),
      atMs,
    };
  });
}

/** An id begins with the group's name, which may hold what a shell takes for its own. */
export const showLine = (id: string): string =>
  `weir dlq show ${/^[\w./:-]+$/.test(id) ? id : shellWord(id)}`;
