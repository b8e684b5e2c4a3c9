// Web origins (RFC 6454) that a key for browsers may be used from: one exactly, `https://app.example.com`, or all below
// a domain, `https://*.example.com`. Refuses patterns that would take in a whole top-level domain.

const EXACT =
  /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:]+\])(?::[1-9]\d{0,4})?$/;
const WILDCARD =
  /^https:\/\/\*\.((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?)(:[1-9]\d{0,4})?$/;

/** @returns what is wrong with it, undefined when nothing is */
export function originFault(pattern: string): string | undefined {
  const isWildcard = WILDCARD.test(pattern);
  if (!isWildcard && !EXACT.test(pattern))
    return "must be an origin as browsers send it, `https://app.example.com`, or `https://*.example.com`";
  // Browsers leave the scheme's own port out, so a pattern with it would match nothing.
  const url = isWildcard ? pattern.replace("*.", "") : pattern;
  if (/^https?:/.test(url) && (!URL.canParse(url) || new URL(url).origin !== url))
    return "is not written as browsers send it: a host in its plain form, and no port that its scheme has anyway";
  return undefined;
}

/** Whether a request's `Origin` is one of them. */
export function isOriginAllowed(patterns: ReadonlySet<string>, origin: string): boolean {
  if (patterns.has(origin)) return !origin.includes("*");
  for (const pattern of patterns) {
    const [, domain, port = ""] = WILDCARD.exec(pattern) ?? [];
    if (domain === undefined || !EXACT.test(origin) || !origin.startsWith("https://")) continue;
    if (origin.endsWith(`.${domain}${port}`)) return true;
  }
  return false;
}
