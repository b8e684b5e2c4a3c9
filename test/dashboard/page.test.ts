// The page in a real browser before the fixture server: what a reader is told of outages, dead letters and the ledger.
import { mkdtempSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import esbuild from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { root } from "../support/start.ts";
import { type FixtureServer, type Scenario, startFixtureServer } from "./fixture-server.ts";

const waitMs = 10_000;

describe.skipIf(!hasBrowser)("the page", () => {
  const assets = mkdtempSync(join(tmpdir(), "weir-dashboard-"));
  let server: FixtureServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    const app = join(root, "dashboard", "app.ts");
    // Not dist/: what is tested is the source, built or not.
    await esbuild.build({ entryPoints: { app }, outdir: assets, bundle: true, format: "esm" });
    for (const file of ["index.html", "favicon.svg", "_headers"])
      await cp(join(root, "dashboard", file), join(assets, file));
    [server, browser] = await Promise.all([startFixtureServer({ assets }), openBrowser()]);
  });
  afterEach(() => page?.close());
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(assets, { recursive: true, force: true });
  });

  async function open(scenario: Scenario, width = 1280): Promise<void> {
    server.scenario = scenario;
    server.asked.length = 0;
    page = await browser.newPage({ viewport: { width, height: 800 } });
    await page.goto(server.origin);
    await page.locator('#dead-letters:not([data-state="loading"])').waitFor({ timeout: waitMs });
    await page.locator('[data-testid="ledger"]:not([data-state="loading"])').waitFor({ timeout: waitMs });
    await page.locator('[data-testid="pipeline"]:not([data-state="loading"])').waitFor({ timeout: waitMs });
  }
  /** All is asked at once when the page is resumed: nobody waits for the next poll. */
  async function askAgain(): Promise<void> {
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
  }
  const textOf = async (id: string): Promise<string> => await page.getByTestId(id).innerText();
  const sumText = async (): Promise<string> =>
    (await page.getByTestId("ledger-sum").locator("li").allInnerTexts()).join(" · ");

  it("says nothing, in no room, while nothing is wrong", async () => {
    await open("normal");
    expect(await page.locator(".state-notice").count()).toBe(0);
    expect(await page.locator(".trouble:visible").count()).toBe(0);
    expect(await textOf("ledger-verdict")).toBe("Balanced");
    expect(await sumText()).toBe("accepted 168,557 · stored 168,557 · difference 0");
    expect(await textOf("dead-letters")).toContain("None. A record that was accepted but cannot be stored");
  });

  it("tells of an outage, and of its end, without being loaded anew", async () => {
    await open("outage");
    expect(await textOf("notices")).toContain("Kafka is away. 18,204 records are kept safely");
    expect(await textOf("step-kafka")).toContain("away");
    expect(await textOf("ledger-verdict")).toBe("Unsettled");
    server.scenario = "normal";
    await askAgain();
    await expect.poll(async () => await page.locator(".state-notice").count(), { timeout: waitMs }).toBe(0);
    expect(await textOf("step-kafka")).toContain("rest-v2");
  });

  it("shows the newest dead letters, and by the keyboard the command for one, which stays open", async () => {
    await open("dead-letters");
    expect(await textOf("dead-letters-count")).toBe("more than 50");
    const rows = page.locator(".dead-letter");
    expect(await rows.count()).toBe(3);
    await rows.first().locator("summary").focus();
    await page.keyboard.press("Enter");
    const command = rows.first().getByText("weir dlq show weir/events.raw/1/0/90412/-1");
    await command.waitFor({ timeout: waitMs });
    const again = page.waitForResponse((response) => response.url().includes("/api/v1/dlq"));
    await askAgain();
    await (await again).finished();
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    expect(await command.isVisible()).toBe(true);
    expect(await textOf("notices")).toContain("Storage refuses what orchard sends.");
  });

  it("names what is out of balance", async () => {
    await open("unbalanced");
    expect(await textOf("ledger")).toMatch(/Unbalanced[^]*logs of acme: 12 accepted records nowhere/);
  });

  it("shows a key without operator what it may see, and no trouble", async () => {
    await open("query-only");
    expect(await textOf("pipeline")).toContain("needs a key with the scope operator");
    expect(await textOf("ledger-verdict")).toBe("Balanced");
    expect(await page.locator(".trouble:visible").count()).toBe(0);
  });

  it.each(["outage", "dead-letters", "unbalanced"] as const)("fits a phone: %s", async (scenario) => {
    await open(scenario, 375);
    const overflow = async () =>
      await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    await expect.poll(overflow, { timeout: waitMs }).toBeLessThanOrEqual(0);
  });
});
