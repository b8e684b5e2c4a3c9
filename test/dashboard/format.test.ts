import { expect, it } from "vitest";
import {
  formatAge,
  formatBytes,
  formatBytesPerSecond,
  formatCount,
  formatNumberOf,
  formatPercent,
  formatRate,
  formatWhole,
} from "../../dashboard/data/format.ts";

it.each([
  [formatWhole(undefined), "–"],
  [formatWhole(1_234_567), "1,234,567"],
  [formatWhole(-3), "−3"],
  [formatNumberOf(1, "record"), "1 record"],
  [formatNumberOf(0, "record"), "0 records"],
  [formatAge(-5), "0 s"],
  [formatAge(59_999), "59 s"],
  [formatAge(60_000), "1 min"],
  [formatAge(3_599_999), "59 min"],
  [formatAge(7_200_000), "2 h"],
  [formatAge(7_500_000), "2 h 5 min"],
  [formatAge(172_800_000), "2 d"],
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
