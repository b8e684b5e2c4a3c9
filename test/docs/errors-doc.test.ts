// One reason, one code, one metric label, one line in docs/errors.md.
// WEIR_UPDATE_DOCS=1 npx vitest run --project node test/docs/errors-doc.test.ts writes the table.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { problem } from "../../lib/http/problem.ts";
import { familyOf } from "../../lib/observability/counts.ts";
import { METRICS } from "../../lib/observability/metric-names.ts";
import { Registry } from "../../lib/observability/registry.ts";
import { reasons, type Reason } from "../../lib/telemetry/reasons.ts";
import { docSectionFault } from "../support/doc-section.ts";

const DOC = "docs/errors.md";

interface Told {
  status: number;
  title: string;
  mend: string;
}
const all = Object.entries(reasons) as [Reason, Told][];

/** What stands in the document, by code. */
const written = new Map(
  readFileSync(new URL(`../../${DOC}`, import.meta.url), "utf8")
    .split("\n")
    .map((line) => /^\| `([a-z0-9_]+)` +\| [^|]+ \| [^|]+ \| ([^|]*) \|$/.exec(line))
    .flatMap((row) => (row ? [[row[1] ?? "", (row[2] ?? "").trim()] as const] : [])),
);

describe(DOC, () => {
  it("has a line for every reason, and none for what is no reason", () => {
    const rows = all.map(
      ([reason, told]) => `| \`${reason}\` | ${told.status} | ${told.title} | ${told.mend} |`,
    );
    const table = ["| code | status | meaning | what to do |", "|---|---|---|---|", ...rows].join("\n");
    const fault = docSectionFault(DOC, "reasons", table);
    const codes = new Set<string>(all.map(([reason]) => reason));
    const missing = [...codes].filter((code) => !written.has(code));
    const strange = [...written.keys()].filter((code) => !codes.has(code));
    const mend = "run `WEIR_UPDATE_DOCS=1 npx vitest run --project node test/docs/errors-doc.test.ts`";
    const lists = `missing: ${missing.join(", ") || "none"}; no longer a reason: ${strange.join(", ") || "none"}`;
    expect(fault, `${lists}; ${mend}`).toBeUndefined();
  });

  it.each(all)("says what to do about %s", (reason, told) => {
    expect(told.mend, `give ${reason} a \`mend\` in lib/telemetry/reasons.ts`).toMatch(
      /^[A-Z`][^|\n]{9,}\.$/,
    );
    expect(told.title).toMatch(/^[A-Z][^|\n]+[^.]$/);
  });
});

describe("a reason", () => {
  it.each(all)("%s is the code, the type and the status of a problem", async (reason, { status, title }) => {
    const response = problem(reason, { detail: "x", requestId: "r" });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      type: `urn:weir:problem:${reason}`,
      code: reason,
      status,
      title,
    });
  });

  it("is a metric label of its own, however many there are", () => {
    const names = ["weir_requests_refused_total", "weir_records_rejected_total"] as const;
    const registry = new Registry();
    for (const [reason] of all) for (const name of names) registry.count(name, { reason });
    const counts = registry.take();
    for (const name of names) {
      expect([...(counts.get(familyOf(name))?.keys() ?? [])], "raise `max` in metric-names.ts").toEqual(
        all.map(([reason]) => reason),
      );
      expect(METRICS[name].labels.reason.max).toBeGreaterThan(all.length);
    }
  });
});
