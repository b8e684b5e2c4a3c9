// The state of Kafka on its way from one object to every isolate.
import { expect, it } from "vitest";
import { fromClusterState, HEALTHY, toClusterState } from "../../../lib/kafka/cluster-state.ts";

it("comes back as it went, by way of JSON too", () => {
  for (const breaker of ["closed", "open", "half-open"] as const) {
    const state = { breaker, retryAtMs: 17, spilled: [0, 7] };
    expect(fromClusterState(JSON.parse(JSON.stringify(toClusterState(state))))).toEqual(state);
  }
  expect(fromClusterState(toClusterState(HEALTHY))).toEqual(HEALTHY);
});

it("is not known where nothing is told, or in words of another version", () => {
  for (const told of [
    {},
    { breaker: "ajar", retryAtMs: 0, spilled: [] },
    { breaker: "open", spilled: [] },
    { breaker: "open", retryAtMs: 0, spilled: {} },
  ])
    expect(fromClusterState(told), JSON.stringify(told)).toBeUndefined();
});
