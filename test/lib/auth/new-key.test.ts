import { describe, expect, it } from "vitest";
import { createKey } from "../../../lib/auth/new-key.ts";

describe("a new key", () => {
  it("is an id and 40 characters of secret, and each is another", () => {
    const fill = (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes);
    const keys = Array.from({ length: 100 }, () => createKey(fill));
    for (const { id, secret, key } of keys) {
      expect(key).toBe(`weir_${id}_${secret}`);
      expect(key).toMatch(/^weir_[A-Za-z0-9]{12}_[A-Za-z0-9]{40}$/);
    }
    expect(new Set(keys.flatMap(({ id, secret }) => [id, secret])).size).toBe(200);
    expect(createKey(fill, "kept").key).toMatch(/^weir_kept_[A-Za-z0-9]{40}$/);
  });

  it("takes each letter equally often: bytes over the last whole multiple of 62 are thrown away", () => {
    const letterOf = (byte: number) => {
      let rounds = 0;
      return createKey((bytes) => bytes.fill(rounds++ === 0 ? byte : 0), "k").secret.charAt(39);
    };
    const counts = new Map<string, number>();
    for (let byte = 0; byte < 248; byte++) counts.set(letterOf(byte), (counts.get(letterOf(byte)) ?? 0) + 1);
    expect(counts.size).toBe(62);
    expect(new Set(counts.values())).toEqual(new Set([4]));
    for (let byte = 248; byte < 256; byte++) expect(letterOf(byte)).toBe(letterOf(0));
  });
});
