// How texts travel to PostgreSQL. Its texts hold every character but NUL, so NUL and the two characters that stand for
// it are written as codes of four signs. The codes overlap neither each other nor anything else and are in the order of
// what they stand for, so that equality, order, prefix and search by the stored form are those of the text itself.

const CODES: Readonly<Record<string, string>> = {
  "\u0000": "\u0001\u0001\u0001\u0002",
  "\u0001": "\u0001\u0001\u0002\u0002",
  "\u0002": "\u0001\u0002\u0002\u0002",
};
const DECODED = new Map(Object.entries(CODES).map(([sign, code]) => [code, sign]));

export function storedText(text: string): string {
  // eslint-disable-next-line no-control-regex -- these three are what it is about
  return text.replace(/[\u0000-\u0002]/g, (sign) => CODES[sign] ?? sign);
}

export function readText(stored: string): string {
  // eslint-disable-next-line no-control-regex -- as above
  return stored.replace(/[\u0001\u0002]{4}/g, (code) => DECODED.get(code) ?? code);
}

/** An object of texts, as JSON whose names and values are in their stored form. */
export function storedLabels(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(mapEntries(labels, storedText));
}

export function readLabels(stored: string): Record<string, string> {
  return mapEntries(JSON.parse(stored) as Record<string, string>, readText);
}

function mapEntries(
  labels: Readonly<Record<string, string>>,
  change: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [change(name), change(value)]));
}

/**
 * An array in PostgreSQL's own notation, which one parameter carries
 * (postgresql.org/docs/15/arrays.html#ARRAYS-IO). Texts must be in their stored form.
 */
export function arrayOf(values: readonly (string | number | null)[]): string {
  return `{${values.map(elementOf).join()}}`;
}

function elementOf(value: string | number | null): string {
  if (value === null) return "NULL";
  return typeof value === "number" ? String(value) : `"${value.replace(/["\\]/g, "\\$&")}"`;
}
