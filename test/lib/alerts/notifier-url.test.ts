import { describe, expect, it } from "vitest";
import { parseIpv6 } from "../../../lib/alerts/ip-address.ts";
import { hostOf, urlFault } from "../../../lib/alerts/notifier-url.ts";

const PUBLIC = [
  "https://hooks.example.com/services/T0/B0/secret",
  "https://hooks.slack.com:8443/x",
  "https://8.8.8.8/",
  "https://134744072/",
  "https://172.32.0.1/",
  "https://100.128.0.1/",
  "https://[2606:4700::1111]/",
  "https://[2a00:1450:4001:830::200e]/",
  // Names are judged by what they say; where they lead is not looked up.
  "https://10.0.0.1.nip.io/",
];

const PRIVATE = [
  "https://127.0.0.1/",
  "https://127.1/",
  "https://2130706433/",
  "https://0x7f000001/",
  "https://0177.0.0.1/",
  "https://0/",
  "https://10.1.2.3/",
  "https://172.16.0.1/",
  "https://172.31.255.255/",
  "https://192.168.1.1/",
  "https://3232235777/",
  "https://100.64.0.1/",
  "https://169.254.169.254/latest/meta-data/",
  "https://0xa9fea9fe/",
  "https://192.0.0.192/",
  "https://198.19.0.1/",
  "https://224.0.0.1/",
  "https://255.255.255.255/",
  "https://127.0.0.1./",
  "https://[::1]/",
  "https://[::]/",
  "https://[::ffff:127.0.0.1]/",
  "https://[::ffff:a9fe:a9fe]/",
  "https://[::127.0.0.1]/",
  "https://[64:ff9b::7f00:1]/",
  "https://[2002:7f00:1::]/",
  "https://[2001:0:4136:e378::]/",
  "https://[2001:db8::1]/",
  "https://[fc00::1]/",
  "https://[fd00:ec2::254]/",
  "https://[fe80::1]/",
  "https://[ff02::1]/",
  "https://[3fff::1]/",
  "https://localhost/",
  "https://LOCALHOST./",
  "https://api.localhost/",
  "https://metadata.google.internal/",
  "https://metadata/",
  "https://printer.local/",
  "https://router.home.arpa/",
  "https://１２７.0.0.1/",
];

describe("the URL of a notifier", () => {
  it.each(PUBLIC)("%s may be told", (url) => expect(urlFault(url, false)).toBeUndefined());

  it.each(PRIVATE)("%s leads into a private network", (url) => {
    expect(urlFault(url, false)).toMatch(/public address/);
  });

  it.each([
    ["http://hooks.example.com/", /https/],
    ["ftp://hooks.example.com/", /https/],
    ["https://user:secret@hooks.example.com/", /user or a password/],
    ["hooks.example.com", /must be a URL/],
    ["https://256.1.1.1/", /must be a URL/],
    [`https://hooks.example.com/${"x".repeat(2_000)}`, /at most 2000/],
  ])("%s is refused", (url, message) => {
    const fault = urlFault(url, false);
    expect(fault).toMatch(message);
    expect(fault).not.toContain("secret");
  });

  it("may be this machine in development, and no other private one", () => {
    for (const url of [
      "http://127.0.0.1:9000/x",
      "http://localhost/",
      "https://[::1]/",
      "http://hooks.example.com/",
    ])
      expect(urlFault(url, true), url).toBeUndefined();
    for (const url of ["http://10.0.0.1/", "http://169.254.169.254/", "https://metadata.google.internal/"])
      expect(urlFault(url, true), url).toMatch(/public address/);
  });

  it("is shown by its host only", () => {
    expect(hostOf("https://hooks.example.com:8443/T0/secret?x=secret")).toBe("hooks.example.com:8443");
    expect(hostOf("no url")).toBe("");
  });
});

it.each([
  ["::", [0, 0, 0, 0, 0, 0, 0, 0]],
  ["1::8", [1, 0, 0, 0, 0, 0, 0, 8]],
  ["1:2:3:4:5:6:7:8", [1, 2, 3, 4, 5, 6, 7, 8]],
  ["1:2:3:4:5:6:7::", [1, 2, 3, 4, 5, 6, 7, 0]],
  ["1:2:3:4:5:6:7", undefined],
  ["1:2:3:4:5:6:7:8:9", undefined],
  ["1::2::3", undefined],
  ["1:2:3:4:5:6:7:8::", undefined],
  ["g::", undefined],
])("the address %s is read", (text, groups) => expect(parseIpv6(text)).toEqual(groups));
