// POST /api/v1/client-reports: agents tell what they threw away. Never rate limited: who has to throw records away would
// otherwise have to keep quiet about it.
import { Hono } from "hono";
import { z } from "zod";
import { addClientReport } from "../lib/storage/d1-client-reports.ts";
import { clientReportShape, MAX_CLIENT_REPORT_BYTES, sumDiscarded } from "../lib/telemetry/client-report.ts";
import { defineRoute } from "./define-route.ts";
import { edgeMetrics } from "./edge-metrics.ts";
import type { AppEnv } from "./request-context.ts";
import { readShape, refuseAll } from "./shape-body.ts";

export const clientReports = new Hono<AppEnv>();

const answerShape = z
  .object({ status: z.literal("recorded"), discarded: z.int().describe("In all.") })
  .meta({ id: "ClientReportAnswer" });

defineRoute(
  clientReports,
  {
    name: "reportDiscarded",
    method: "post",
    path: "/api/v1/client-reports",
    scope: "ingest",
    tag: "Intake",
    summary: "Records that a client threw away before sending",
    description: "Never rate limited.",
    body: { content: clientReportShape, description: "At most 4 KiB." },
    answers: { 202: { description: "It is counted", content: answerShape } },
  },
  async (c) => {
    const report = await readShape(c, clientReportShape, MAX_CLIENT_REPORT_BYTES);
    if (!report.ok) return refuseAll(c, report.error);
    const sums = sumDiscarded(report.value);
    await addClientReport(c.env.DB, c.get("principal").tenant, sums, Date.now());
    let discarded = 0;
    for (const { signal, reason, quantity } of sums) {
      discarded += quantity;
      edgeMetrics.count("weir_client_discarded_total", { signal, reason }, quantity);
    }
    return c.json({ status: "recorded", discarded }, 202);
  },
);
