import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { retentionSuite } from "../../contract/storage-retention.suite.ts";

retentionSuite("memory", async () => createMemoryStore());
