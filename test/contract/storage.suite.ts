// What every store must do. A back end's test calls this with a way to make a fresh one; nothing may be skipped
// without a reason.
import { describe } from "vitest";
import { givenStore, type OpenStore } from "./storage-case.ts";
import { claimCases } from "./storage-claims.suite.ts";
import { commitCases } from "./storage-commits.suite.ts";
import { epochCases } from "./storage-epochs.suite.ts";
import { outgoingCases } from "./storage-outgoing.suite.ts";
import { recordCases } from "./storage-records.suite.ts";
import { traceCases } from "./storage-traces.suite.ts";

export function storageSuite(name: string, open: OpenStore): void {
  describe(`storage contract: ${name}`, () => {
    const given = givenStore(open);
    commitCases(given);
    claimCases(given);
    outgoingCases(given);
    epochCases(given);
    recordCases(given);
    traceCases(given);
  });
}
