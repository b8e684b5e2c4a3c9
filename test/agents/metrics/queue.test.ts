import { describe, expect, it } from "vitest";
import { type Batch, BatchQueue } from "../../../agents/metrics/queue.ts";

const batch = (id: string, bytes = 10, metrics = 3): Batch => ({
  idempotencyKey: id,
  body: "",
  bytes,
  metrics,
});

function drain(queue: BatchQueue): string[] {
  const ids: string[] = [];
  for (let head = queue.hold(); head; head = queue.hold()) {
    ids.push(head.idempotencyKey);
    queue.remove();
  }
  return ids;
}

describe("the queue", () => {
  it("drops the oldest beyond its count and counts its metrics", () => {
    const queue = new BatchQueue({ maxBatches: 2, maxBytes: 1_000 });
    for (const id of ["a", "b", "c"]) queue.push(batch(id));
    expect(queue.droppedMetrics).toBe(3);
    expect(queue.metrics).toBe(6);
    expect(drain(queue)).toEqual(["b", "c"]);
  });

  it("drops as many as a large batch needs, and frees the bytes of what was removed", () => {
    const queue = new BatchQueue({ maxBatches: 100, maxBytes: 30 });
    for (const id of ["a", "b", "c"]) queue.push(batch(id));
    queue.push(batch("d", 20));
    expect(queue.droppedMetrics).toBe(6);
    expect(drain(queue)).toEqual(["c", "d"]);
    queue.push(batch("e", 30));
    expect(drain(queue)).toEqual(["e"]);
  });

  it("never drops the batch that is being sent, which the server may be accepting", () => {
    const queue = new BatchQueue({ maxBatches: 2, maxBytes: 1_000 });
    queue.push(batch("a"));
    queue.hold();
    for (const id of ["b", "c"]) queue.push(batch(id));
    expect(drain(queue)).toEqual(["a", "c"]);
  });

  it("lets a released batch go like any other", () => {
    const queue = new BatchQueue({ maxBatches: 1, maxBytes: 1_000 });
    queue.push(batch("a"));
    queue.hold();
    queue.release();
    queue.push(batch("b"));
    expect(drain(queue)).toEqual(["b"]);
  });

  it("keeps what was dropped while a report was under way", () => {
    const queue = new BatchQueue({ maxBatches: 1, maxBytes: 1_000 });
    for (const id of ["a", "b"]) queue.push(batch(id));
    const reported = queue.droppedMetrics;
    queue.push(batch("c"));
    queue.markReported(reported);
    expect(queue.droppedMetrics).toBe(3);
  });
});
