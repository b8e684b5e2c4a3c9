// The place after which a list of keys goes on: the last one's time and id, opaque to clients. Stable under writes,
// since a new key is newer than all.
import { ok, reject, type Result } from "../telemetry/result.ts";

export interface KeyCursor {
  createdAt: string;
  id: string;
}

export function formatKeyCursor({ createdAt, id }: KeyCursor): string {
  return btoa(`${createdAt} ${id}`).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function parseKeyCursor(text: string | null): Result<KeyCursor | undefined> {
  if (text === null) return ok(undefined);
  let read = "";
  try {
    read = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    // Told below.
  }
  const [, createdAt, id] = /^([0-9T:.Z+-]{1,40}) ([A-Za-z0-9]{1,40})$/.exec(read) ?? [];
  if (createdAt === undefined || id === undefined)
    return reject(
      "invalid_query",
      "cursor",
      "is not a cursor of ours; take it from the Link header as it is",
    );
  return ok({ createdAt, id });
}
