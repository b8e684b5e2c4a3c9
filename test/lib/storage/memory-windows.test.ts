// Windows of the storage contract on the store in memory.
import { describe } from "vitest";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { givenStore } from "../../contract/storage-case.ts";
import { windowCases } from "../../contract/storage-windows.suite.ts";

describe("windows in memory", () => {
  windowCases(givenStore(async () => ({ ...createMemoryStore(), refused: [] })));
});
