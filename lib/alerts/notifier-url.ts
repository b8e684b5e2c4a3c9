// Where a notifier may send: public addresses over https, so that nobody reaches the network behind Weir through it. What
// is judged is what the URL says: an address, in whatever form it is written, or a name. What a name stands for is not
// looked up (a Worker cannot), so a public name for a private address passes here; Workers have no way into private
// networks. In development http and this machine itself are allowed.
import { parseIpv4, parseIpv6, isPublicIpv4, isPublicIpv6 } from "./ip-address.ts";

const MAX_URL_CHARS = 2_000;

/** Names that are of no public use (RFC 6761, RFC 6762, RFC 8375), and of clouds' own services. */
const PRIVATE_SUFFIXES = [
  "localhost",
  "local",
  "internal",
  "home.arpa",
  "test",
  "example",
  "invalid",
  "onion",
  "alt",
  "lan",
  "intranet",
  "corp",
  "home",
] as const;

/** @returns what is wrong with it, never the URL itself, which may hold a secret */
export function urlFault(text: string, isDevelopment: boolean): string | undefined {
  if (text.length > MAX_URL_CHARS) return `must be at most ${MAX_URL_CHARS} characters long`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return "must be a URL, as in https://hooks.example.com/weir";
  const isLocal = isDevelopment && isOwnMachine(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isDevelopment))
    return "must begin with https://";
  if (url.username !== "" || url.password !== "") return "must not hold a user or a password";
  if (isLocal) return undefined;
  return hostFault(url.hostname);
}

/** The part of a URL that may be shown. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

/** @param hostname as the URL standard writes it: IPv4 in decimal parts, IPv6 in brackets, names in ASCII */
function hostFault(hostname: string): string | undefined {
  const fault = "must lead to a public address, not into a private network";
  if (hostname.startsWith("[")) {
    const address = parseIpv6(hostname.slice(1, -1));
    return address && isPublicIpv6(address) ? undefined : fault;
  }
  const name = hostname.replace(/\.+$/, "");
  const address = parseIpv4(name);
  if (address !== undefined) return isPublicIpv4(address) ? undefined : fault;
  // A name of one part is one of the own network, or nothing.
  if (!name.includes(".")) return fault;
  return PRIVATE_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`))
    ? fault
    : undefined;
}

function isOwnMachine(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
