// The page as a person meets it: the real worker behind it, a real browser before it.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { postLogs } from "../support/api.ts";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { root, startWeir, type StartedWeir } from "../support/start.ts";

describe.skipIf(!hasBrowser)("the first page", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-page-"));
  let weir: StartedWeir;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    [weir, browser] = await Promise.all([startWeir({ dataDir }), openBrowser()]);
    page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(weir.url)) faults.push(`the page reaches out to ${request.url()}`);
    });
    await page.goto(weir.url);
  });
  afterAll(async () => {
    await browser?.close();
    await weir?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it("shows this machine's CPU and memory without being told a key", async () => {
    for (const id of ["cpu", "memory"]) {
      const figure = page.getByTestId(`${id}-now`);
      await expect.poll(async () => await figure.textContent(), { timeout: 20_000 }).toMatch(/\d/);
    }
    expect(await page.locator("canvas").count()).toBeGreaterThanOrEqual(2);
  });

  it("shows a log soon after it was sent, as text and not as markup", async () => {
    const response = await postLogs(weir.url, {
      level: "ERROR",
      message: "<b>disk</b> is full",
      service: "browser-test",
    });
    expect(response.status).toBe(202);
    await page.getByText("<b>disk</b> is full").waitFor({ timeout: 20_000 });
  });

  it("fits a phone", async () => {
    await page.setViewportSize({ width: 375, height: 800 });
    // The charts follow a frame or two after the window.
    const overflow = async () =>
      await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    await expect.poll(overflow, { timeout: 5_000 }).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  it("asks for a key, and says where it is, when the one it has is refused", async () => {
    const stranger = await browser.newPage();
    await stranger.goto(`${weir.url}/#key=weir_nobody_aaaaaaaaaaaaaaaaaaaaaaaa`);
    await stranger.getByTestId("sign-in").waitFor({ timeout: 20_000 });
    expect(stranger.url()).not.toContain("weir_nobody");
    await stranger.close();
  });

  it("meets no error and reaches out to nobody", async () => {
    if (process.env.WEIR_SCREENSHOT) {
      mkdirSync(join(root, "dist", "screenshots"), { recursive: true });
      await page.screenshot({ path: join(root, "dist", "screenshots", "first-page.png") });
    }
    expect(faults).toEqual([]);
  });
});
