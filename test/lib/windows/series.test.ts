import { expect, it } from "vitest";
import { seriesId } from "../../../lib/windows/series.ts";

it("a series is its tenant, name and labels, in whatever order they stand", () => {
  const id = seriesId("acme", "cpu", { host: "a", zone: "b" });
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(seriesId("acme", "cpu", { zone: "b", host: "a" })).toBe(id);
  // sha256sum of 4:acme3:cpu4:host1:a4:zone1:b. Kept in stores: another id would part a series in two.
  expect(id).toBe("24e34c74480ec92152db9824a89afd7a");
});

it("no two series read alike", () => {
  const ids = [
    seriesId("a", "b", {}),
    seriesId("ab", "", {}),
    seriesId("", "ab", {}),
    seriesId("a", "b", { c: "" }),
    seriesId("a", "b", { "": "c" }),
    seriesId("a", "b", { c: "d", e: "f" }),
    seriesId("a", "b", { c: "d1:e1:f" }),
    seriesId("a", "b", { c: "f", e: "d" }),
    seriesId("a", "b1:c1:d", {}),
    seriesId("a", "b", { c: "d" }),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});
