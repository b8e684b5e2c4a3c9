// What each built-in pattern finds and what it leaves, and that no text makes one slow.
import { describe, expect, it } from "vitest";
import { BUILT_IN } from "../../../../lib/ingest/scrub/patterns.ts";

type Name = keyof typeof BUILT_IN;

const finds = (name: Name, text: string) =>
  BUILT_IN[name](text).map(([start, end]) => text.slice(start, end));

const HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const TOKEN = `${HEADER}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U`;

describe.each<[Name, [string, string[]][]]>([
  [
    "email",
    [
      ["mail bob.b+x@mail.example.com, now", ["bob.b+x@mail.example.com"]],
      ["user=bob@x.io&to=eve%40x.io;", ["bob@x.io", "eve%40x.io"]],
      ["<bob@x.io>. bob@x.io.", ["bob@x.io", "bob@x.io"]],
      ["jürgen@müller.de", ["jürgen@müller.de"]],
      ["a@b.co@c.org", ["a@b.co"]],
      ["@home a@ @b.co bob@localhost me@1.2.3.4 @", []],
    ],
  ],
  [
    "credit_card",
    [
      ["card 4111111111111111.", ["4111111111111111"]],
      ["4111 1111 1111 1111 12/28", ["4111 1111 1111 1111"]],
      ["4111-1111-1111-1111", ["4111-1111-1111-1111"]],
      ["amex 378282246310005 mc 5555555555554444", ["378282246310005", "5555555555554444"]],
      ["2026-11-21 4111111111111111 7", ["4111111111111111"]],
      ["order 17 5555 5555 5555 4444", ["5555 5555 5555 4444"]],
      ["4111111111111112 1234567890123456 0.4111111111111111", []],
      ["14111111111111111 41111111111111110000000000 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", []],
    ],
  ],
  [
    "ipv4",
    [
      ["from 192.168.0.1:8080, 10.0.0.1/24. 8.8.8.8.", ["192.168.0.1", "10.0.0.1", "8.8.8.8"]],
      ["1.2.3.4.5 256.1.1.1 1.2.3 01.2.3.4", []],
    ],
  ],
  [
    "ipv6",
    [
      ["from 2001:db8::8a2e:370:7334.", ["2001:db8::8a2e:370:7334"]],
      ["[fe80::1]:443 ::1 ::ffff:10.0.0.1", ["fe80::1", "::1", "::ffff:10.0.0.1"]],
      ["2001:db8:85a3:0:0:8a2e:370:7334:8080", ["2001:db8:85a3:0:0:8a2e:370:7334:8080"]],
      ["2001:db8:85a3:0:0:8a2e:370:7334:18082", ["2001:db8:85a3:0:0:8a2e:370:7334"]],
      ["deadbeef:2001:db8:85a3:0:0:8a2e:370:7334", ["2001:db8:85a3:0:0:8a2e:370:7334"]],
      ["addr:2001:db8::1: gone", ["2001:db8::1"]],
      ["10:20:30 00:11:22:33:44:55 std::vector a:b:: :: x::y", ["a:b::"]],
    ],
  ],
  [
    "phone",
    [
      ["call +49 (151) 123-45678 or +14155550123!", ["+49 (151) 123-45678", "+14155550123"]],
      ["(415) 555-0123, 415-555-0123, 1 415 555 0123", ["(415) 555-0123", "415-555-0123", "1 415 555 0123"]],
      ["030 1234567 / 0171-1234567", ["030 1234567", "0171-1234567"]],
      ["2026-11-21 10:00:00 1732183200 01/12/2026 10:00 v1.2.3 +12 years 127.0.0.1", []],
    ],
  ],
  [
    "jwt",
    [
      [`Bearer ${TOKEN}.`, [TOKEN]],
      [`token=${TOKEN}&x=${TOKEN}`, [TOKEN, TOKEN]],
      [`${HEADER}.a.b.c.d`, [`${HEADER}.a.b.c.d`]],
      [`eyJ.x ${HEADER} a.b.c`, []],
    ],
  ],
])("%s", (name, cases) => {
  it.each(cases)("in %j", (text, expected) => {
    expect(finds(name, text)).toEqual(expected);
  });
});

describe("every pattern", () => {
  const SIZE = 256 * 1024;
  const seeds = [
    "a",
    "1",
    "@",
    "a@",
    "a.",
    "1.",
    "1-",
    "1 ",
    "4 ",
    "444 ",
    ":",
    "a:",
    "::1",
    "eyJ",
    "eyJ.",
    "+1",
    "0",
    "(",
    "%40",
  ];

  it.each(Object.keys(BUILT_IN) as Name[])("takes time linear in the text: %s", (name) => {
    const slow = seeds.filter((seed) => {
      const text = seed.repeat(SIZE / seed.length);
      const beganMs = performance.now();
      BUILT_IN[name](text);
      // Quadratic would be minutes; linear is a few milliseconds, on a busy machine some more.
      return performance.now() - beganMs > 2_000;
    });
    expect(slow).toEqual([]);
  });
});
