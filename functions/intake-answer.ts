// What the intake answers, from what became of the records: 202 all accepted, 207 some, 400 none good, 503 none
// durable. One place maps verdicts to the wire.
import { problem, rejectionProblem, type ProblemError } from "../lib/http/problem.ts";
import type { Rejection } from "../lib/telemetry/result.ts";
import type { NotDurable, Verdict } from "../lib/ingest/prepared.ts";
import { retryAfterSeconds } from "./kafka-problem.ts";

export interface AnswerOptions {
  batch: string;
  requestId: string;
  /** `?results=all`: the good records are listed too. */
  listAll: boolean;
}

export function answerIntake(verdicts: readonly Verdict[], options: AnswerOptions): Response {
  let accepted = 0;
  let spilled = 0;
  let rejected = 0;
  let waiting = 0;
  let missed: NotDurable | undefined;
  for (const verdict of verdicts) {
    if (verdict.status === "rejected") rejected++;
    else if (verdict.status === "retry") {
      waiting++;
      missed ??= verdict;
    } else {
      accepted++;
      if (verdict.status === "spilled") spilled++;
    }
  }
  if (accepted === 0 && missed) return notDurable(missed, options.requestId);
  if (accepted === 0 && rejected > 0) return allRejected(verdicts, options);
  const isPartial = rejected + waiting > 0;
  const listed = options.listAll ? verdicts.map(describe) : isPartial ? onlyBad(verdicts) : undefined;
  const body = {
    status: "queued",
    message: isPartial ? "Accepted in part" : "Accepted",
    accepted,
    rejected,
    ...(waiting > 0 ? { retry: waiting } : {}),
    durability: spilled > 0 ? "spilled" : "kafka",
    batch: options.batch,
    ...(listed ? { results: listed } : {}),
  };
  const headers = new Headers({ "Content-Type": "application/json", "X-Request-Id": options.requestId });
  if (missed) headers.set("Retry-After", String(retryAfterSeconds(missed.retryAfterMs)));
  return new Response(JSON.stringify(body), { status: isPartial ? 207 : 202, headers });
}

/** What a form's `refuse` is where nothing else is asked for: a problem. */
export function refusal(requestId: string) {
  return (rejection: Rejection, headers: Record<string, string>, subject?: string) =>
    rejectionProblem(rejection, requestId, headers, subject);
}

/** 503: nothing of the request is known to be durable, so the client is to send it again as it is. */
export function notDurable({ reason, error, retryAfterMs }: NotDurable, requestId: string): Response {
  const full = reason === "spill_full" ? " and what is kept until it does is full," : "";
  return problem(reason, {
    // The code says enough: addresses and messages of the cluster are for the operator's log, not for clients.
    detail: `Kafka did not confirm the records (${error.code}),${full} so none is accepted. Send the request again.`,
    requestId,
    headers: { "Retry-After": String(retryAfterSeconds(retryAfterMs)) },
  });
}

function allRejected(verdicts: readonly Verdict[], { requestId }: AnswerOptions): Response {
  const errors: ProblemError[] = [];
  verdicts.forEach((verdict, index) => {
    if (verdict.status === "rejected") errors.push({ index, ...verdict.rejection });
  });
  const [first] = errors;
  const where = first
    ? ` The first: record ${first.index}, ${first.path || "itself"}: ${first.message}.`
    : "";
  const extra = { accepted: 0, rejected: errors.length };
  return problem("invalid_records", { detail: `No record was accepted.${where}`, requestId, errors, extra });
}

function onlyBad(verdicts: readonly Verdict[]): unknown[] {
  const bad: unknown[] = [];
  verdicts.forEach((verdict, index) => {
    if (verdict.status === "rejected" || verdict.status === "retry") bad.push(describe(verdict, index));
  });
  return bad;
}

function describe(verdict: Verdict, index: number): unknown {
  switch (verdict.status) {
    case "ok":
    case "spilled":
      return { index, ...verdict };
    case "rejected":
      return { index, status: "rejected", ...verdict.rejection };
    case "retry":
      return { index, status: "retry", reason: verdict.reason, path: "", message: verdict.error.code };
  }
}
