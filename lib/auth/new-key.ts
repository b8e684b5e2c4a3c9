// A new key's id and secret. The secret is told once and kept nowhere: what is stored is its hash (api-key.ts).

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_CHARS = 12;
/** 238 bits. */
const SECRET_CHARS = 40;

/** Fills the array with random bytes, as `crypto.getRandomValues` does. */
export type FillRandom = (bytes: Uint8Array<ArrayBuffer>) => void;

export interface NewKey {
  id: string;
  secret: string;
  /** `weir_<id>_<secret>`: what is told, once. */
  key: string;
}

export function createKey(random: FillRandom, id = randomText(ID_CHARS, random)): NewKey {
  const secret = randomText(SECRET_CHARS, random);
  return { id, secret, key: `weir_${id}_${secret}` };
}

/** Letters and digits, each of them equally likely: bytes beyond a multiple of 62 are thrown away. */
function randomText(length: number, random: FillRandom): string {
  const bytes = new Uint8Array(length);
  let text = "";
  while (text.length < length) {
    random(bytes);
    for (const byte of bytes) {
      if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
    }
  }
  return text;
}
