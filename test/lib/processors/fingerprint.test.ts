// Messages of one kind have one fingerprint, others another.
import { describe, expect, it } from "vitest";
import { fingerprint } from "../../../lib/processors/fingerprint.ts";

describe("messages that differ only in what varies", () => {
  it.each([
    ["numbers", "took 15 ms", "took 1045 ms", "took 1.5 ms", "took -3 ms"],
    ["numbers with units", "took 15ms", "took 3ms"],
    [
      "UUIDs",
      "job 550e8400-e29b-41d4-a716-446655440000 done",
      "job deadbeef-abcd-41d4-abcd-44665544abcd done",
    ],
    ["ids with a prefix", "got req-4bf92f3577b34da6", "got req-00f067aa0ba902b7"],
    [
      "UUIDs with a prefix",
      "u-550e8400-e29b-41d4-a716-446655440000",
      "u-00000000-abcd-bcde-cdef-deadbeef0123",
    ],
    ["hexadecimal numbers", "at 0xdeadbeef1 in f", "at 0x7ffc2 in f"],
    ["addresses", "from 10.0.0.1:5432", "from 192.168.17.254:80"],
    ["IPv6 addresses", "from fe80::1ff:fe23:4567:890a!", "from 2001:db8::8a2e:370:7334!"],
    ["times", "at 2026-11-21T10:00:00.123Z", "at 2027-01-02T03:04:05Z"],
    ["texts in quotes", 'no user "ann"', 'no user "bob \\" c"'],
    ["texts in single quotes", "no file '/a/b'", "no file '/c'"],
    ["names with numbers", "worker12 left", "worker3 left"],
    ["paths", "GET /users/42/orders/9f8e7d6c5b4a", "GET /users/7/orders/1a2b3c4d5e6f"],
    ["white space", "a  b\t c", "a b c"],
  ])("%s", (_, first, ...others) => {
    for (const other of others) expect(fingerprint(other)).toBe(fingerprint(first));
  });
});

it.each([
  ["connection refused", "connection reset"],
  ["user ann left", "user bob left"],
  ["can't open", "won't open"],
  ["added: yes", "added: no"],
  ["a:1", "b:1"],
  ["x", "xx"],
  ["ab", "ba"],
  ["1 of 2", "1-2"],
])("%s is not %s", (one, other) => {
  expect(fingerprint(one)).not.toBe(fingerprint(other));
});

it("stays the same from version to version, since it is stored", () => {
  expect(fingerprint("connection to 10.0.0.1:5432 refused after 30s")).toBe("caad54204b565281");
  expect(fingerprint('naïve "ü" 漢字 0')).toBe("4f6fd421f7b48d8f");
});

it("does not collide among 50,000 different texts", () => {
  const letters = "ghijklmnopqrstuv";
  const word = (n: number) =>
    Array.from(n.toString(16), (digit) => letters[Number.parseInt(digit, 16)]).join("");
  const prints = new Set<string>();
  for (let i = 0; i < 50_000; i++) prints.add(fingerprint(`failed: ${word(i)}`));
  expect(prints.size).toBe(50_000);
});
