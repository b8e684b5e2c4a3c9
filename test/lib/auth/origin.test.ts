import { describe, expect, it } from "vitest";
import { isOriginAllowed, originFault } from "../../../lib/auth/origin.ts";

describe("an origin's pattern", () => {
  it.each([
    "https://app.example.com",
    "https://app.example.com:8443",
    "http://localhost:3000",
    "http://[::1]:3000",
    "https://xn--kln-sna.example",
    "https://*.example.com",
    "https://*.example.com:8443",
    "https://*.a.example.co.uk",
    "capacitor://localhost",
    "chrome-extension://abcdefghijklmnop",
  ])("may be %s", (pattern) => expect(originFault(pattern)).toBeUndefined());

  it.each([
    "",
    "*",
    "null",
    "https://",
    "https://*",
    "https://*.com",
    "https://*.",
    "https://*.*.example.com",
    "https://a.*.example.com",
    "https://*a.example.com",
    "http://*.example.com",
    "https://*.1.2.3.4",
    "https://*.example.com:443",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://app.example.com?",
    "https://user@app.example.com",
    "https://App.example.com",
    "HTTPS://app.example.com",
    "https://app.example.com:443",
    "http://app.example.com:80",
    "https://app.example.com:99999",
    "https://app.example.com:",
    "https://köln.example",
    "https://app.example.com ",
    "https://app.example.com\n",
    "https://a.example, https://b.example",
    "http://127.1",
    "app.example.com",
    "file://",
  ])("may not be %j", (pattern) => expect(originFault(pattern)).toBeTypeOf("string"));
});

describe("an origin", () => {
  const patterns = new Set([
    "https://app.example.com",
    "http://localhost:3000",
    "https://*.example.net",
    "https://*.example.org:8443",
  ]);

  it.each([
    "https://app.example.com",
    "http://localhost:3000",
    "https://a.example.net",
    "https://a.b.example.net",
    "https://a.example.org:8443",
  ])("%s is allowed", (origin) => expect(isOriginAllowed(patterns, origin)).toBe(true));

  it.each([
    "",
    "null",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://b.app.example.com",
    "https://localhost:3000",
    "https://example.net",
    "https://.example.net",
    "https://evilexample.net",
    "http://a.example.net",
    "https://a.example.net:8443",
    "https://a.example.net.evil.example",
    "https://evil.example/.example.net",
    "https://evil.example#.example.net",
    "https://evil.example?.example.net",
    "https://evil.example@a.example.net",
    "https://*.example.net",
    "https://A.example.net",
    "https://a.example.net, https://evil.example",
    "https://a.example.org",
  ])("%j is not", (origin) => expect(isOriginAllowed(patterns, origin)).toBe(false));
});
