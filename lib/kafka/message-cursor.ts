// Where the next page of a topic's messages begins: a direction and one offset for each partition. Offsets never change
// their meaning, so a page is the same however much was written since.

/** `older`: newest first, towards the log's start. `newer`: oldest first, towards its end and beyond. */
export type Direction = "older" | "newer";

export interface MessageCursor {
  direction: Direction;
  /**
   * By partition. `newer`: the first offset wanted; `older`: the first no longer wanted. Undefined where it could not
   * be found out yet. A partition that is not here was added after the cursor was made.
   */
  positions: Map<number, number | undefined>;
}

const CURSOR = /^(older|newer)((?:;\d{1,6}:(?:\d{1,15}|\?))+)$/;

/** Opaque to clients: base64url, as are the cursors of all lists. */
export function formatMessageCursor({ direction, positions }: MessageCursor): string {
  const places = [...positions].map(([partition, offset]) => `${partition}:${offset ?? "?"}`);
  return btoa([direction, ...places].join(";"))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** @returns undefined for what is no cursor of ours */
export function parseMessageCursor(text: string): MessageCursor | undefined {
  let plain: string;
  try {
    plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
  const [, direction, places = ""] = CURSOR.exec(plain) ?? [];
  if (direction === undefined) return undefined;
  const positions = places
    .slice(1)
    .split(";")
    .map((place): [number, number | undefined] => {
      const [partition, offset] = place.split(":");
      return [Number(partition), offset === "?" ? undefined : Number(offset)];
    });
  return { direction: direction as Direction, positions: new Map(positions) };
}
