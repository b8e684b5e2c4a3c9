// What becomes of the lines that the formats' own documents give as examples.
import { describe, expect, it } from "vitest";
import { processLog } from "../../../lib/processors/process-log.ts";
import { parseServices } from "../../../lib/processors/services.ts";
import type { JsonObject } from "../../../lib/telemetry/json-value.ts";
import type { Log } from "../../../lib/telemetry/log.ts";

const NO_SERVICES = { services: new Map() };
const TIME = "2026-11-21T10:00:00.000Z";

const logOf = (message: string, fields: Partial<Log> = {}): Log => ({
  timestamp: TIME,
  level: "INFO",
  message,
  attributes: {},
  ...fields,
});

/** Without the fingerprint, which has tests of its own. */
function processed(message: string, fields: Partial<Log> = {}) {
  const log = processLog(logOf(message, fields), NO_SERVICES);
  const { fingerprint, ...attributes } = log.attributes;
  expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
  expect(log.message).toBe(message);
  expect(log.timestamp).toBe(TIME);
  return { ...log, attributes };
}

describe("an access log", () => {
  // https://httpd.apache.org/docs/2.4/logs.html#common and #combined
  const common = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326';
  const fields = {
    "log.format": "access",
    "client.address": "127.0.0.1",
    "user.name": "frank",
    "http.request.method": "GET",
    "url.path": "/apache_pb.gif",
    "network.protocol.name": "http",
    "network.protocol.version": "1.0",
    "http.response.status_code": 200,
    "http.response.body.size": 2326,
  };

  it("is read in the common form", () => {
    expect(processed(common).attributes).toEqual(fields);
  });

  it("is read in the combined form, which is nginx' own too", () => {
    const line = `${common} "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"`;
    expect(processed(line).attributes).toEqual({
      ...fields,
      "http.request.header.referer": "http://www.example.com/start.html",
      "user_agent.original": "Mozilla/4.08 [en] (Win98; I ;Nav)",
    });
  });

  it("is read with its virtual host, a query, a method of nobody, and without a body", () => {
    const line =
      'www.example.org:443 2001:db8::1 - - [10/Oct/2000:13:55:36 -0700] "FROB /a?b=\\"c\\" HTTP/2.0" 304 - "-" "-"';
    expect(processed(line).attributes).toEqual({
      "log.format": "access",
      "server.address": "www.example.org",
      "server.port": 443,
      "client.address": "2001:db8::1",
      "http.request.method": "_OTHER",
      "http.request.method_original": "FROB",
      "url.path": "/a",
      "url.query": 'b="c"',
      "network.protocol.name": "http",
      "network.protocol.version": "2.0",
      "http.response.status_code": 304,
    });
  });

  it.each([
    ["of a TLS greeting on the wrong port", "\\x16\\x03\\x01"],
    ["of a connection that said nothing", "-"],
  ])("is read where the request is that %s", (_, request) => {
    const line = `10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "${request}" 400 226`;
    expect(processed(line).attributes).toEqual({
      "log.format": "access",
      "client.address": "10.0.0.1",
      "http.response.status_code": 400,
      "http.response.body.size": 226,
    });
  });

  it.each([
    "connected to host [10/Oct/2000 or so] and left",
    '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /',
    '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" OK 12',
  ])("is not seen in %s", (line) => {
    expect(processed(line).attributes).toEqual({});
  });
});

describe("syslog", () => {
  // https://www.rfc-editor.org/rfc/rfc5424#section-6.5, examples 1 to 4
  it.each([
    [
      "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \uFEFF'su root' failed for lonvick on /dev/pts/8",
      { level: "CRITICAL", host: "mymachine.example.com", service: "su" },
      { "syslog.facility": 4, "syslog.version": 1, "syslog.msgid": "ID47" },
    ],
    [
      "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
      { level: "NOTICE", host: "192.0.2.1", service: "myproc" },
      { "syslog.facility": 20, "syslog.version": 1, "syslog.procid": "8710" },
    ],
    [
      '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] \uFEFFAn application event log entry...',
      { level: "NOTICE", host: "mymachine.example.com", service: "evntslog" },
      {
        "syslog.facility": 20,
        "syslog.version": 1,
        "syslog.msgid": "ID47",
        "syslog.exampleSDID@32473.iut": "3",
        "syslog.exampleSDID@32473.eventSource": "Application",
        "syslog.exampleSDID@32473.eventID": "1011",
      },
    ],
    [
      '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]',
      { level: "NOTICE", host: "mymachine.example.com", service: "evntslog" },
      {
        "syslog.facility": 20,
        "syslog.version": 1,
        "syslog.msgid": "ID47",
        "syslog.exampleSDID@32473.iut": "3",
        "syslog.exampleSDID@32473.eventSource": "Application",
        "syslog.exampleSDID@32473.eventID": "1011",
        "syslog.examplePriority@32473.class": "high",
      },
    ],
    // https://www.rfc-editor.org/rfc/rfc3164#section-5.4, examples 1 and 2; 4.3.3
    [
      "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
      { level: "CRITICAL", host: "mymachine", service: "su" },
      { "syslog.facility": 4 },
    ],
    [
      "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
      { level: "NOTICE", host: "10.0.0.99" },
      { "syslog.facility": 1 },
    ],
    ["<34>Use the BFG!", { level: "CRITICAL" }, { "syslog.facility": 4 }],
    // As in /var/log/auth.log.
    [
      "Nov  1 06:25:01 web-1 CRON[4721]: pam_unix(cron:session): session opened for user root",
      { level: "INFO", host: "web-1", service: "CRON" },
      { "syslog.procid": "4721" },
    ],
  ] as const)("%s", (line, fields, attributes) => {
    expect(processed(line)).toEqual(
      logOf(line, { ...fields, attributes: { ...attributes, "log.format": "syslog" } }),
    );
  });

  it("is read with what its message says in a form of its own", () => {
    const line = '<30>Nov 21 10:00:00 web-1 api[7]: {"level":"error","msg":"no route","service":"inner"}';
    expect(processed(line)).toMatchObject({
      level: "ERROR",
      service: "api",
      host: "web-1",
      attributes: { "syslog.procid": "7", msg: "no route", service: "inner", "log.format": "syslog" },
    });
  });

  it.each([
    "<html>",
    "<192>no such priority",
    "<34>1 yesterday host app - - - x",
    "<34>1 - h a - - [x y",
    "<",
  ])("is not seen in %s", (line) => {
    expect(processed(line)).toEqual(logOf(line));
  });
});

describe("logfmt", () => {
  it("is read as logrus writes it", () => {
    // https://github.com/sirupsen/logrus#readme
    const line =
      'time="2015-03-26T01:27:38-04:00" level=warning msg="The group\'s number increased tremendously!" number=122 omg=true';
    expect(processed(line)).toEqual(
      logOf(line, {
        level: "WARN",
        attributes: {
          "log.format": "logfmt",
          time: "2015-03-26T01:27:38-04:00",
          msg: "The group's number increased tremendously!",
          number: "122",
          omg: "true",
        },
      }),
    );
  });

  it("is read with names alone", () => {
    // https://pkg.go.dev/github.com/kr/logfmt
    expect(processed('foo=bar a=14 baz="hello kitty" cool%story=bro f %^asdf').attributes).toEqual({
      "log.format": "logfmt",
      foo: "bar",
      a: "14",
      baz: "hello kitty",
      "cool%story": "bro",
      f: true,
      "%^asdf": true,
    });
  });

  it("takes no time for a service, as Heroku's router tells it", () => {
    // https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format
    const line = 'at=info method=GET path="/" dyno=web.1 connect=1ms service=18ms status=200';
    const { service, attributes } = processed(line);
    expect(service).toBeUndefined();
    expect(attributes).toMatchObject({ service: "18ms", status: "200" });
  });

  it("has escapes in quotes", () => {
    expect(processed(String.raw`a="x\"y\\z\n\u00e9" b=2`).attributes).toMatchObject({
      a: 'x"y\\z\né',
      b: "2",
    });
  });

  it.each(["x=5 is too large", "a=1", "user=5 connected from ip=3", 'a="1 b=2', 'a=1 b="2"c', "=1 b=2"])(
    "is not seen in %s",
    (line) => {
      expect(processed(line).attributes).toEqual({});
    },
  );
});

describe("JSON", () => {
  it("is read as pino writes it", () => {
    // https://github.com/pinojs/pino#usage
    const line =
      '{"level":50,"time":1531171074631,"msg":"hello world","pid":657,"hostname":"Davids-MBP-3.fritz.box"}';
    expect(processed(line)).toEqual(
      logOf(line, {
        level: "ERROR",
        host: "Davids-MBP-3.fritz.box",
        attributes: { "log.format": "json", time: 1531171074631, msg: "hello world", pid: 657 },
      }),
    );
  });

  it("is read with nested objects, lists, and integers that no float holds", () => {
    const line =
      '{"log":{"level":"Warning"},"service":{"name":"petclinic"},"tags":["a",{"b":[1]}],"id":12345678901234567890,"n":null,"big":1e999}';
    expect(processed(line)).toEqual(
      logOf(line, {
        level: "WARN",
        service: "petclinic",
        attributes: {
          "log.format": "json",
          tags: '["a",{"b":[1]}]',
          id: "12345678901234567890",
          big: "Infinity",
        },
      }),
    );
  });

  it("gives trace and span, also from a traceparent", () => {
    // https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers
    const [trace, span] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
    const ids = { trace_id: trace, span_id: span };
    const one = processed(JSON.stringify({ traceId: trace.toUpperCase(), spanId: span }));
    expect(one.attributes).toEqual({ "log.format": "json", ...ids });
    const other = processed(JSON.stringify({ traceparent: `00-${trace}-${span}-01` }));
    expect(other.attributes).toMatchObject(ids);
    const none = processed(JSON.stringify({ trace_id: "0".repeat(32), span_id: "xyz" }));
    expect(none.attributes).toEqual({ "log.format": "json", trace_id: "0".repeat(32), span_id: "xyz" });
  });

  it.each(["{", "{}}", '{"a":1} and more', "{a:1}", "[1,2]", '"text"'])("is not seen in %s", (line) => {
    expect(processed(line).attributes).toEqual({});
  });
});

describe("what the client gave", () => {
  it("stays, whatever the message says", () => {
    const attributes: JsonObject = {
      trace_id: "mine",
      msg: "mine",
      fingerprint: "mine",
      "log.format": "mine",
      constructor: 1,
    };
    const given = logOf('{"level":"debug","msg":"x","service":"b","host":"b","constructor":2,"more":3}', {
      level: "ERROR",
      service: "a",
      host: "a",
      attributes,
    });
    const before = structuredClone(given);
    const services = new Map([["a", { team: "core", msg: "no", more: "no" }]]);
    expect(processLog(given, { services })).toEqual({
      ...given,
      attributes: { ...attributes, level: "debug", service: "b", host: "b", more: 3, team: "core" },
    });
    expect(given).toEqual(before);
  });

  it("stays where OTLP told a level, and its trace stands with the others", () => {
    const detail = {
      otlp: {
        logRecord: {
          severityNumber: 9,
          traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
          spanId: "00f067aa0ba902b7",
        },
      },
    };
    const log = processed('{"level":"error","trace_id":"00000000000000000000000000000001"}', { detail });
    expect(log.level).toBe("INFO");
    expect(log.attributes).toEqual({
      "log.format": "json",
      level: "error",
      trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
      span_id: "00f067aa0ba902b7",
    });
  });

  it("is INFO where it gave no level: the message's own counts then", () => {
    expect(processed("level=fatal msg=x").level).toBe("FATAL");
    expect(processed('level="third floor" msg=x')).toMatchObject({
      level: "INFO",
      attributes: { level: "third floor" },
    });
  });
});

it("adds what is known of the service, also of one that the message tells", () => {
  const services = parseServices('{"api":{"team":"core","tier":1}}');
  if (!services.ok) throw new Error("refused");
  const log = processLog(logOf('{"service":"api"}'), { services: services.value });
  expect(log.attributes).toMatchObject({ team: "core", tier: 1 });
});

it("leaves an empty message without a fingerprint", () => {
  expect(processLog(logOf(""), NO_SERVICES).attributes).toEqual({});
});
