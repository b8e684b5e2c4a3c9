import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { storageSuite } from "../../contract/storage.suite.ts";

storageSuite("memory", async () => ({ ...createMemoryStore(), refused: [] }));
