import { expect, it } from "vitest";
import {
  formatBytes,
  formatBytesPerSecond,
  formatCount,
  formatPercent,
  formatRate,
} from "../../dashboard/data/format.ts";

it.each([
  [formatPercent(undefined), "–"],
  [formatPercent(0), "0.0 %"],
  [formatPercent(9.96), "10 %"],
  [formatPercent(99.6), "100 %"],
  [formatCount(0), "0"],
  [formatCount(12_345), "12,345"],
  [formatCount(1_234_567), "1.2M"],
  [formatRate(0), "0/s"],
  [formatRate(0.25), "0.3/s"],
  [formatRate(1_234), "1,234/s"],
  [formatBytes(1_023), "1023 B"],
  [formatBytes(1_024), "1.0 KiB"],
  [formatBytes(1_048_300), "1.0 MiB"],
  [formatBytes(84_484_096_000), "78.7 GiB"],
  [formatBytesPerSecond(999.7), "1.0 kB/s"],
  [formatBytesPerSecond(1_250_000), "1.3 MB/s"],
])("%s reads %s", (shown, expected) => {
  expect(shown).toBe(expected);
});
