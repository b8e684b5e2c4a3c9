// A batch's identity where the client names none: UUID version 7 (RFC 9562), so that ids sort by time.

/** @param random 16 random bytes (10 of them are used) */
export function uuidv7(nowMs: number, random: Uint8Array): string {
  const bytes = new Uint8Array(random.subarray(0, 16));
  let time = nowMs;
  for (let i = 5; i >= 0; i--) {
    bytes[i] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
