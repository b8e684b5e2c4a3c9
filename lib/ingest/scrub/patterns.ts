// The built-in patterns of personal data. Each finds its spans in time linear in the text, whatever the text is: a run of
// characters is taken whole and then judged, and no expression here can try one place twice without bound.

/** Start and end (exclusive) of a find, in order and apart. */
export type Span = readonly [start: number, end: number];
export type Finder = (text: string) => Span[];

/** What may stand in an address before the `@`: letters of any script, digits and the signs seen in practice. */
const isLocal = (code: number): boolean =>
  isAlphanumeric(code) || code > 0x7f || (code < 0x7f && "._%+'-!#$*^~".includes(String.fromCharCode(code)));

const isDomain = (code: number): boolean =>
  isAlphanumeric(code) || code > 0x7f || code === 0x2d || code === 0x2e;

function isAlphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a);
}

/** `a@b.co`, and as it stands in a URL, `a%40b.co`. */
const findEmails: Finder = (text) => {
  const spans: Span[] = [];
  let floor = 0;
  for (const { index, 0: at } of text.matchAll(/@|%40/g)) {
    let start = index;
    while (start > floor && isLocal(text.charCodeAt(start - 1))) start--;
    let end = index + at.length;
    while (end < text.length && isDomain(text.charCodeAt(end))) end++;
    // Where the next address begins to look: nothing is walked over twice.
    floor = index + at.length;
    while (end > floor && /[.-]/.test(text.charAt(end - 1))) end--;
    const domain = text.slice(floor, end);
    const topLevel = domain.slice(domain.lastIndexOf(".") + 1);
    if (
      start === index ||
      topLevel.length === domain.length ||
      topLevel.length < 2 ||
      /^\d+$/.test(topLevel)
    ) {
      continue;
    }
    spans.push([start, end]);
    floor = end;
  }
  return spans;
};

/**
 * 13 to 19 digits in one group or several, a network's first digit, and Luhn's check digit. No group but the last is
 * below three digits, as cards are written: rows of short numbers need no look at what they add up to.
 */
const findCreditCards: Finder = (text) => {
  const spans: Span[] = [];
  for (const run of text.matchAll(/\d+(?:[ -]\d+)*/g)) {
    if (run[0].length < 13) continue;
    const isFraction = /\d\.$/.test(text.slice(Math.max(0, run.index - 2), run.index));
    const groups = [...run[0].matchAll(/\d+/g)].map((group) => ({
      start: run.index + group.index,
      digits: group[0],
    }));
    for (let first = isFraction ? 1 : 0; first < groups.length; first++) {
      const last = lastOfCard(groups, first);
      if (last === undefined) continue;
      const { start } = groups[first] as (typeof groups)[number];
      const end = groups[last] as (typeof groups)[number];
      spans.push([start, end.start + end.digits.length]);
      first = last;
    }
  }
  return spans;
};

/** The last group of the longest card that begins with the group `first`. */
function lastOfCard(groups: readonly { digits: string }[], first: number): number | undefined {
  if (!/^[2-6]/.test(groups[first]?.digits ?? "")) return undefined;
  let found: number | undefined;
  let digits = "";
  for (let at = first; at < groups.length; at++) {
    const group = groups[at]?.digits ?? "";
    digits += group;
    if (digits.length > 19) break;
    if (digits.length >= 13 && hasLuhnDigit(digits)) found = at;
    if (group.length < 3) break;
  }
  return found;
}

function hasLuhnDigit(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 0x30;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`(?<![\\d.])${OCTET}(?:\\.${OCTET}){3}(?!\\d|\\.\\d)`, "g");

const findIpv4: Finder = (text) => spansOf(text, IPV4);

const IPV4_WHOLE = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** The longest that an address can be is 45; with a group too many on either side, 51. */
const MAX_IPV6_RUN = 52;

const findIpv6: Finder = (text) => {
  if (!text.includes(":")) return [];
  const spans: Span[] = [];
  for (const { index, 0: run } of text.matchAll(/[0-9A-Fa-f:.]+/g)) {
    const colon = run.indexOf(":");
    if (colon === -1 || run.indexOf(":", colon + 1) === -1) continue;
    const found = addressIn(
      run,
      /\w/.test(text.charAt(index - 1)),
      /\w/.test(text.charAt(index + run.length)),
    );
    if (found) spans.push([index + found[0], index + found[1]]);
  }
  return spans;
};

/** Whole, without a colon or a dot that belongs to the sentence, or without a group before (`addr:`) or after (a port). */
function addressIn(run: string, isGluedBefore: boolean, isGluedAfter: boolean): Span | undefined {
  const start = run.startsWith(":") && !run.startsWith("::") ? 1 : 0;
  let end = run.length;
  while (end > start && (run[end - 1] === "." || (run[end - 1] === ":" && run[end - 2] !== ":"))) end--;
  if (end - start > MAX_IPV6_RUN) return undefined;
  const afterFirst = run.indexOf(":", start + 1) + 1;
  const beforeLast = run.lastIndexOf(":", end - 1);
  const isAddress = ([from, to]: Span): boolean =>
    (from > 0 || !isGluedBefore) && (to < run.length || !isGluedAfter) && isIpv6(run.slice(from, to));
  const whole: Span = [start, end];
  if (isAddress(whole)) return whole;
  const parts: Span[] = [
    [afterFirst, end],
    [start, beforeLast],
    [afterFirst, beforeLast],
  ];
  // Of nine groups either end may be the one too many: then all of it goes.
  return merged(parts.filter(isAddress))[0];
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2 || text === "::") return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1) ?? "";
  const hasIpv4 = last.includes(".") && !text.endsWith("::");
  const plain = hasIpv4 ? groups.slice(0, -1) : groups;
  if ((hasIpv4 && !IPV4_WHOLE.test(last)) || !plain.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) {
    return false;
  }
  const count = plain.length + (hasIpv4 ? 2 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}

/**
 * With `+` and 7 to 15 digits (E.164), as North America writes it (`555-123-4567`), or with a leading zero and groups
 * (`030 1234567`). A bare row of digits is not taken for one: too many of them are ids and times.
 */
const PHONES = [
  /(?<!\+)\+\d(?:[ ()./-]{0,2}\d){6,14}(?!\d)/g,
  /(?<![\w.])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])/g,
  /(?<![\w.:/-])(?!\d\d[./ -]\d\d[./ -])\(?0\d{1,5}\)?[ /-]\d(?:[ -]?\d){4,10}(?![\w:])/g,
];

const findPhones: Finder = (text) => merged(PHONES.flatMap((pattern) => spansOf(text, pattern)));

/** Header and payload of a JSON Web Token, base64url of `{"…`, and what follows them. */
const findJwts: Finder = (text) => {
  if (!text.includes("eyJ")) return [];
  const spans: Span[] = [];
  for (const { index, 0: run } of text.matchAll(/[A-Za-z0-9_.-]+/g)) {
    const parts = run.split(".");
    let start = index;
    for (let i = 0; i + 2 < parts.length; i++) {
      const part = parts[i] as string;
      const header = part.indexOf("eyJ");
      if (header !== -1 && part.length - header >= 10 && (parts[i + 1] as string).length > 0) {
        // An encrypted one has five parts.
        const isSigned = (parts[i + 1] as string).startsWith("eyJ");
        const count = isSigned ? 3 : 5;
        const token = parts.slice(i, i + count).join(".");
        spans.push([start + header, start + token.length]);
        start += token.length + 1;
        i += Math.min(count, parts.length - i) - 1;
      } else start += part.length + 1;
    }
  }
  return spans;
};

export const BUILT_IN = {
  email: findEmails,
  credit_card: findCreditCards,
  ipv4: findIpv4,
  ipv6: findIpv6,
  phone: findPhones,
  jwt: findJwts,
} as const satisfies Record<string, Finder>;

/** Finds of nothing are none. */
export function spansOf(text: string, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  for (const { index, 0: found } of text.matchAll(pattern)) {
    if (found !== "") spans.push([index, index + found.length]);
  }
  return spans;
}

/** In order, and those that touch or overlap as one. */
export function merged(spans: readonly Span[]): Span[] {
  const result: [number, number][] = [];
  for (const [start, end] of spans.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && start < last[1]) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
}
