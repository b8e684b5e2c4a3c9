// A line of an access log in the common or the combined form of Apache httpd and nginx, also with the virtual host before
// it: `host ident user [time] "request" status bytes "referer" "user agent"`. Fields have OpenTelemetry's names.
import { Fields } from "./fields.ts";
import type { Parsed } from "./parse-message.ts";
import type { Reader } from "./reader.ts";

/** `10/Oct/2000:13:55:36 -0700` */
const TIME_CHARS = 26;

/** Those of the semantic conventions; another one is `_OTHER`. */
const METHODS = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "PATCH",
  "QUERY",
]);

/** Whether the text may be one: three or four words before a bracket. Costs a plain text four short looks. */
export function mayBeAccessLog(text: string): boolean {
  let space = -1;
  for (let words = 1; words <= 4; words++) {
    space = text.indexOf(" ", space + 1);
    if (space === -1) return false;
    if (words >= 3 && text[space + 1] === "[" && text[space + 4] === "/" && text[space + 8] === "/")
      return true;
  }
  return false;
}

export function parseAccessLog(reader: Reader): Parsed | undefined {
  const words = reader.before(" [")?.split(" ") ?? [];
  const [client = "", , user = ""] = words.slice(-3);
  const time = reader.before("]");
  if (words.length < 3 || words.length > 4 || time?.length !== TIME_CHARS || !reader.take(" "))
    return undefined;
  const request = reader.quoted();
  if (request === undefined || !reader.take(" ")) return undefined;
  const status = reader.word();
  const bytes = reader.word();
  if (!/^\d{3}$/.test(status) || !/^(?:\d{1,15}|-)$/.test(bytes)) return undefined;
  const fields = new Fields();
  if (words.length === 4) addServer(fields, words[0] as string);
  fields.set("client.address", client);
  if (user !== "-" && user !== "") fields.set("user.name", user);
  const text = addRequest(fields, request);
  fields.set("http.response.status_code", Number(status));
  // Headers left out; `-` is a response without a body.
  if (bytes !== "-") fields.set("http.response.body.size", Number(bytes));
  const referer = reader.quoted();
  if (referer !== undefined && referer !== "-" && referer !== "")
    fields.set("http.request.header.referer", referer);
  const agent = referer !== undefined && reader.take(" ") ? reader.quoted() : undefined;
  if (agent !== undefined && agent !== "-" && agent !== "") fields.set("user_agent.original", agent);
  return { format: "access", fields, text };
}

/** `www.example.org:80` */
function addServer(fields: Fields, server: string): void {
  const colon = server.lastIndexOf(":");
  const port = server.slice(colon + 1);
  const hasPort = colon !== -1 && /^\d{1,5}$/.test(port);
  fields.set("server.address", hasPort ? server.slice(0, colon) : server);
  if (hasPort) fields.set("server.port", Number(port));
}

/** @returns what requests of this kind have in common */
function addRequest(fields: Fields, request: string): string {
  const first = request.indexOf(" ");
  const last = request.lastIndexOf(" ");
  // A connection that said nothing, or no HTTP: `-`, or the bytes of a TLS greeting.
  if (first <= 0) return request;
  const method = request.slice(0, first);
  const protocol = request.slice(last + 1);
  const hasProtocol = last > first && protocol.startsWith("HTTP/");
  const target = request.slice(first + 1, hasProtocol ? last : undefined);
  if (METHODS.has(method)) fields.set("http.request.method", method);
  else {
    fields.set("http.request.method", "_OTHER");
    fields.set("http.request.method_original", method);
  }
  const question = target.indexOf("?");
  const path = question === -1 ? target : target.slice(0, question);
  fields.set("url.path", path);
  if (question !== -1) fields.set("url.query", target.slice(question + 1));
  if (hasProtocol) {
    fields.set("network.protocol.name", "http");
    fields.set("network.protocol.version", protocol.slice("HTTP/".length));
  }
  return `${method} ${path}`;
}
