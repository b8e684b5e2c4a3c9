// Real clients, unmodified, against all of Weir as `npm start` runs it: what they sent is read back through the API,
// field by field, and where they retry, through injected 429, 503 and lost answers, every record is there once.
import { afterAll, beforeAll, describe } from "vitest";
import { makeDataDir } from "../support/data-dir.ts";
import { type StartedWeir, startWeir } from "../support/start.ts";
import { collectdSuite } from "./collectd.suite.ts";
import { curlSuite } from "./curl.suite.ts";
import { otelJsSuite } from "./otel-js.suite.ts";
import { otelPythonSuite } from "./otel-python.suite.ts";
import { prometheusSuite } from "./prometheus.suite.ts";
import { syslogNgSuite } from "./syslog-ng.suite.ts";
import { telemetrygenSuite } from "./telemetrygen.suite.ts";

describe("clients", () => {
  const data = makeDataDir("clients");
  let weir: StartedWeir;
  const url = (): string => weir.url;

  beforeAll(async () => {
    weir = await startWeir({ dataDir: data.path, env: { WEIR_DEMO: "off" } });
  });
  afterAll(async () => {
    await weir?.stop();
    data.remove();
  });

  // Side by side: most of their time goes by in waiting for the moment to retry.
  describe.concurrent("curl", () => {
    curlSuite(url);
  });
  describe.concurrent("collectd", () => {
    collectdSuite(url);
  });
  describe.concurrent("syslog-ng", () => {
    syslogNgSuite(url);
  });
  describe.concurrent("OpenTelemetry JS, http/json", () => {
    otelJsSuite(url, "http");
  });
  describe.concurrent("OpenTelemetry JS, http/protobuf", () => {
    otelJsSuite(url, "proto");
  });
  describe.concurrent("OpenTelemetry Python", () => {
    otelPythonSuite(url);
  });
  describe.concurrent("telemetrygen", () => {
    telemetrygenSuite(url);
  });
  describe.concurrent("Prometheus remote write", () => {
    prometheusSuite(url);
  });
});
