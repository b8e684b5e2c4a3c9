// What an isolate holds back: told beforehand, delivered in numbers, bounded, and never forgotten with a request.
import { describe, expect, it } from "vitest";
import { AcceptanceTally, MAX_UNREPORTED, type Accepted } from "../../../../lib/ingest/acceptance/tally.ts";

const isolate = () => new AcceptanceTally(() => "isolate-0");

const logs = (accepted: number, unconfirmed = 0, tenant = "acme"): Accepted => ({
  tenant,
  signal: "logs",
  accepted,
  unconfirmed,
});

/** As a request does that is answered at once, and whose interval the keeper knows. */
function accept(tally: AcceptanceTally, records: number, nowMs = 0): void {
  const hold = tally.hold("acme", "logs", records, nowMs);
  const opening = tally.opening();
  if (opening) tally.opened(opening);
  tally.note(logs(records));
  tally.release(hold);
  tally.answered(records);
}

describe("deliveries", () => {
  it("are given again as they were until they are confirmed; what comes meanwhile is the next's", () => {
    const tally = isolate();
    expect(tally.next(0)).toBeUndefined();
    accept(tally, 3);
    const first = tally.next(0);
    expect(first).toEqual({
      isolate: "isolate-0",
      sequence: 1,
      counts: [logs(3)],
      unregistered: 0,
      ageMs: 0,
      nextAtMost: 0,
    });
    accept(tally, 10);
    expect(tally.next(700)).toMatchObject({ sequence: 1, counts: [logs(3)], ageMs: 700 });
    tally.confirm(first ?? expect.fail());
    const second = tally.next(800);
    expect(second).toMatchObject({ sequence: 2, counts: [logs(10)], ageMs: 0 });
    // A late answer to the first must not confirm the second.
    tally.confirm(first ?? expect.fail());
    expect(tally.next(900)).toMatchObject({ sequence: 2 });
  });

  it("hold one sum for each tenant and signal", () => {
    const tally = isolate();
    tally.note(logs(1, 1));
    tally.note(logs(2, 4));
    tally.note({ ...logs(5), signal: "metrics" });
    tally.note(logs(6, 0, "other"));
    tally.note(logs(0, 0, "nothing"));
    expect(tally.next(0)?.counts).toEqual([
      logs(3, 5),
      { ...logs(5), signal: "metrics" },
      logs(6, 0, "other"),
    ]);
  });
});

describe("the keeper", () => {
  it("is told of an interval before its first answer, and again only when it may come to more", () => {
    const tally = isolate();
    const hold = tally.hold("acme", "logs", 1, 0);
    const opening = tally.opening();
    expect(opening).toEqual({ isolate: "isolate-0", sequence: 1, atMost: 256 });
    // Until it is confirmed, every request tells it for itself.
    expect(tally.opening()).toEqual(opening);
    tally.opened(opening ?? expect.fail());
    expect(tally.opening()).toBeUndefined();
    tally.note(logs(1));
    tally.release(hold);
    for (let i = 1; i < 256; i++) tally.note(logs(1));
    expect(tally.opening()).toBeUndefined();
    tally.note(logs(1));
    expect(tally.opening()).toMatchObject({ sequence: 1, atMost: 1_024 });
  });

  it("is told of the next interval with the delivery where requests are on their way, else not", () => {
    const tally = isolate();
    accept(tally, 5);
    const hold = tally.hold("acme", "logs", 400, 0);
    const delivery = tally.next(0) ?? expect.fail();
    expect(delivery).toMatchObject({ sequence: 1, nextAtMost: 1_024 });
    expect(tally.opening()).toMatchObject({ sequence: 2 });
    tally.confirm(delivery);
    expect(tally.opening()).toBeUndefined();
    tally.note(logs(400));
    tally.release(hold);
    expect(tally.next(10)).toMatchObject({ sequence: 2, nextAtMost: 0 });
  });

  it("gets a delivery of nothing for an interval of which nothing came, so that it is closed", () => {
    const tally = isolate();
    const hold = tally.hold("acme", "logs", 5, 0);
    tally.opening();
    expect(tally.next(10)).toBeUndefined();
    tally.note(logs(0));
    tally.release(hold);
    expect(tally.promise(10_000, 1_000)).toBe(0);
    expect(tally.next(10_000)).toMatchObject({ sequence: 1, counts: [] });
  });

  it("learns with the delivery what was answered without it", () => {
    const tally = isolate();
    const hold = tally.hold("acme", "logs", 7, 0);
    tally.opening();
    tally.note(logs(7));
    tally.release(hold);
    tally.answered(7);
    expect(tally.next(0)).toMatchObject({ unregistered: 7 });
  });
});

describe("the bound", () => {
  it("counts what is pending, what came since and what is on its way", () => {
    const tally = isolate();
    accept(tally, 100);
    tally.next(0);
    accept(tally, 20);
    tally.hold("acme", "logs", 3, 0);
    expect(tally.unreported()).toBe(123);
  });

  it("makes a delivery press at half of what may be held back", () => {
    const tally = isolate();
    accept(tally, MAX_UNREPORTED / 2 - 1);
    expect(tally.isPressing()).toBe(false);
    accept(tally, 1);
    expect(tally.isPressing()).toBe(true);
  });
});

it("records of a request that never told its verdicts are unconfirmed", () => {
  const tally = isolate();
  const hold = tally.hold("acme", "logs", 9, 0);
  tally.opening();
  expect(tally.next(30_000)).toBeUndefined();
  expect(tally.next(30_001)).toMatchObject({ counts: [logs(0, 9)] });
  expect(tally.unreported()).toBe(9);
  // Should it tell them after all, they count beside: the interval of the balance is wider, not wrong.
  tally.note(logs(9));
  tally.release(hold);
  expect(tally.unreported()).toBe(18);
});

it("one request at a time promises to deliver, and its end frees the promise", () => {
  const tally = isolate();
  expect(tally.promise(0, 1_000)).toBeUndefined();
  accept(tally, 1);
  expect(tally.promise(10_000, 1_000)).toBe(0);
  expect(tally.promise(10_000, 1_000)).toBeUndefined();
  tally.confirm(tally.next(10_000) ?? expect.fail());
  accept(tally, 1);
  expect(tally.promise(10_100, 1_000)).toBe(900);
  expect(tally.promise(12_999, 1_000)).toBeUndefined();
  // Whoever promised was ended with its invocation.
  expect(tally.promise(13_000, 1_000)).toBe(0);
});
