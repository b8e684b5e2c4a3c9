// Which key the page uses, and how it is shown. A key given in the address is taken over and must leave the address
// at once: addresses end up in histories and screenshots.

/** Public and for development only; a server refuses it anywhere else. */
export const developmentKey = "weir_dev_local00000000000000000000";

/** What can stand in a header: anything else is a slip of the paste. */
export function isPlausibleKey(key: string): boolean {
  return /^[\x21-\x7e]{1,512}$/.test(key);
}

/** The key of `#key=…`, if the fragment holds one. */
export function keyFromHash(hash: string): string | undefined {
  const key = new URLSearchParams(hash.replace(/^#/, "")).get("key")?.trim();
  return key !== undefined && isPlausibleKey(key) ? key : undefined;
}

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

export function chooseKey(given: {
  hash: string;
  stored: string | null;
  hostname: string;
}): string | undefined {
  return keyFromHash(given.hash) ?? given.stored ?? (isLoopback(given.hostname) ? developmentKey : undefined);
}

/** The key as it may stand on a screen: whole only when it is the public one. */
export function displayKey(key: string): string {
  if (key === developmentKey) return key;
  const id = /^weir_[^_]+_/.exec(key)?.[0] ?? "";
  return `${id}••••••••`;
}
