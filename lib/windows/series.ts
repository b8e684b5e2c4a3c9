// Which series a sample belongs to, as a short id: the same for the same tenant, name and labels, in whatever order the
// labels stand. 128 bits of SHA-256, so that nobody can make two series meet.
import { shortHash } from "../telemetry/short-hash.ts";

/** @returns 32 hexadecimal digits */
export function seriesId(tenant: string, name: string, labels: Readonly<Record<string, string>>): string {
  let text = part(tenant) + part(name);
  // By UTF-16 units: any order does that is the same everywhere.
  for (const label of Object.keys(labels).toSorted()) text += part(label) + part(labels[label] as string);
  return shortHash(text).key;
}

/** With its length before it, so that no two lists of texts read alike. */
function part(text: string): string {
  return `${text.length}:${text}`;
}
