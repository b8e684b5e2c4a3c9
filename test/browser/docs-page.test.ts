// The API's documentation as a person meets it: every endpoint, tried out from the page, on a phone and in the dark, with
// nobody asked but this server.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { root, startWeir, type StartedWeir } from "../support/start.ts";

const waitMs = 20_000;

describe.skipIf(!hasBrowser)("the documentation's page", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-docs-"));
  let weir: StartedWeir;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    [weir, browser] = await Promise.all([startWeir({ dataDir, env: { WEIR_DEMO: "off" } }), openBrowser()]);
    page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(weir.url) && !request.url().startsWith("data:"))
        faults.push(`the page reaches out to ${request.url()}`);
    });
    await page.goto(`${weir.url}/docs`);
    await page.locator(".opblock").first().waitFor({ timeout: waitMs });
  });
  afterAll(async () => {
    await browser?.close();
    await weir?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  async function picture(name: string): Promise<void> {
    if (!process.env.WEIR_SCREENSHOT) return;
    mkdirSync(join(root, "dist", "screenshots"), { recursive: true });
    await page.screenshot({ path: join(root, "dist", "screenshots", `${name}.png`) });
  }

  it("shows every operation of the document", async () => {
    const document = (await (await fetch(`${weir.url}/openapi.json`)).json()) as { paths: object };
    const operations = Object.values(document.paths).flatMap((methods: object) => Object.keys(methods));
    expect(operations.length).toBeGreaterThan(10);
    await expect.poll(async () => await page.locator(".opblock").count()).toBe(operations.length);
    await picture("docs");
  });

  it("calls an endpoint with the development key, which nobody typed", async () => {
    const operation = page.locator("#operations-Queries-listLogs");
    await operation.locator(".opblock-summary-control").click();
    await operation.getByRole("button", { name: "Try it out" }).click();
    await operation.getByRole("button", { name: "Execute" }).click();
    const status = operation.locator(".live-responses-table .response-col_status").last();
    await expect.poll(async () => await status.textContent(), { timeout: waitMs }).toContain("200");
    await picture("docs-tried");
  });

  it("takes another key, which is refused when it is none", async () => {
    await page.locator(".auth-wrapper .authorize").first().click();
    const dialog = page.locator(".dialog-ux");
    await picture("docs-authorize");
    const bearer = dialog.locator(".auth-container", { hasText: "bearer" }).first();
    await bearer.getByRole("button", { name: /logout|remove/i }).click();
    await bearer.locator("input").fill("weir_nobody_aaaaaaaaaaaaaaaaaaaaaaaa");
    await bearer.getByRole("button", { name: /authorize|apply/i }).click();
    await dialog.getByRole("button", { name: /close/i }).first().click();
    const operation = page.locator("#operations-Queries-listLogs");
    await operation.getByRole("button", { name: "Execute" }).click();
    const status = operation.locator(".live-responses-table .response-col_status").last();
    await expect.poll(async () => await status.textContent(), { timeout: waitMs }).toContain("401");
    // The browser itself tells of each refused call.
    const isOwn = (fault: string) => !fault.includes("401 (Unauthorized)");
    faults.splice(0, faults.length, ...faults.filter(isOwn));
  });

  it("fits a phone, in the dark too", async () => {
    await page.setViewportSize({ width: 375, height: 800 });
    await page.emulateMedia({ colorScheme: "dark" });
    const overflow = async () =>
      await page.evaluate<number>("document.documentElement.scrollWidth - window.innerWidth");
    await expect.poll(overflow, { timeout: 5_000 }).toBeLessThanOrEqual(0);
    const brightness = await page.evaluate<number>(
      "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))",
    );
    expect(brightness).toBeLessThan(80);
    await picture("docs-phone");
    await page.evaluate("window.scrollTo(0, 0)");
    await picture("docs-phone-top");
  });

  it("meets no error and reaches out to nobody", () => {
    expect(faults).toEqual([]);
  });
});
