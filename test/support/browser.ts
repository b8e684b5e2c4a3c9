// Headless Chromium for browser tests: Debian's, or the one CHROMIUM_PATH names. Elsewhere the suites say why they do
// not run; in CI they always do.
import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const candidates = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

const chromiumPath = candidates.find((path) => path !== undefined && existsSync(path));

/** In CI a missing browser is a failure, not a skip. */
export const hasBrowser = chromiumPath !== undefined || process.env.CI === "true";

if (!hasBrowser) {
  process.stderr.write(
    "browser tests are skipped: no Chromium found; install it (apt-get install chromium) or set CHROMIUM_PATH\n",
  );
}

export async function openBrowser(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error("no Chromium found; install it or set CHROMIUM_PATH");
  return await chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
