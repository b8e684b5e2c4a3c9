// Prometheus remote write 1.0 and 2.0, as a form of the intake. 204 when every sample is durable; 400 when some are
// refused and the others written (senders never repeat a 4xx); 503 when not all of it is durable: the sender
// repeats the whole request, and the batch, made of the body, counts what was written before once.
import { readBody } from "../lib/http/body.ts";
import { problem, rejectionProblem, type ProblemError } from "../lib/http/problem.ts";
import type { NotDurable, Verdict } from "../lib/ingest/prepared.ts";
import { prepareRecords, type RecordsBody } from "../lib/ingest/prepare-records.ts";
import { ACCEPTED_TYPES, negotiate, type WriteVersion } from "../lib/telemetry/remote-write/content-type.ts";
import { decodeWriteRequest } from "../lib/telemetry/remote-write/decode.ts";
import type { Elements } from "../lib/telemetry/remote-write/series-records.ts";
import { decompressSnappy } from "../lib/telemetry/remote-write/snappy.ts";
import { ok } from "../lib/telemetry/result.ts";
import type { IntakeForm } from "./intake.ts";
import { notDurable } from "./intake-answer.ts";

interface RemoteWriteBody extends RecordsBody {
  /** What each record holds, by its place in `records`. */
  elements: Elements[];
}

/** @param headers of the request: they alone say which of the two messages it holds */
export function remoteWriteForm(headers: Headers, requestId: string): IntakeForm<RemoteWriteBody> {
  const version = negotiate(headers);
  const nothingWritten = version.ok ? writtenHeaders(version.value, NOTHING) : ACCEPTED;
  return {
    protocol: version.ok && version.value === "v2" ? "remote_write_v2" : "remote_write_v1",
    signal: "metrics",
    isBatchOfBody: true,
    encodings: "snappy",
    async read(request) {
      if (!version.ok) return version;
      const sent = await readBody(withoutEncoding(request));
      return sent.ok ? decompressSnappy(sent.value) : sent;
    },
    decode(_, bytes) {
      if (!version.ok) return version;
      const body = decodeWriteRequest(version.value, bytes);
      return body.ok ? ok({ ...body.value, signal: "metrics", isKept: true }) : body;
    },
    recordsIn: ({ records }) => records.length,
    prepare: prepareRecords,
    answer: (verdicts, { elements }) =>
      answerRemoteWrite(verdicts, { version: version.ok ? version.value : "v1", elements, requestId }),
    refuse: (rejection, headers, subject) =>
      rejectionProblem(rejection, requestId, { ...nothingWritten, ...headers }, subject),
    unavailable: (verdict) => unavailable(verdict, requestId, nothingWritten),
  };
}

/** What a 415 tells, from which a sender of 2.0 may learn what to try. */
const ACCEPTED = { Accept: ACCEPTED_TYPES, "Accept-Encoding": "snappy" };

export interface RemoteWriteAnswer {
  version: WriteVersion;
  /** What each record holds, in the order of the verdicts. */
  elements: readonly Elements[];
  requestId: string;
}

/** One place maps verdicts to remote write's answers (specification 2.0, "Response"). */
export function answerRemoteWrite(verdicts: readonly Verdict[], options: RemoteWriteAnswer): Response {
  const { elements, requestId } = options;
  const written = { ...NOTHING };
  const errors: ProblemError[] = [];
  let missed: NotDurable | undefined;
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.status === "rejected") errors.push({ index, ...verdict.rejection });
    if (verdict.status === "retry") missed ??= verdict;
    if (verdict.status !== "ok" && verdict.status !== "spilled") continue;
    written.samples += elements[index]?.samples ?? 0;
    written.histograms += elements[index]?.histograms ?? 0;
    written.exemplars += elements[index]?.exemplars ?? 0;
  }
  const headers = writtenHeaders(options.version, written);
  if (missed) return unavailable(missed, requestId, headers);
  const [first] = errors;
  if (!first) return new Response(null, { status: 204, headers: { ...headers, "X-Request-Id": requestId } });
  // Senders log the first 1,024 bytes of this as they are, so the sentence that helps stands early.
  const where = [elements[first.index ?? 0]?.name ?? "", first.path].filter((part) => part !== "").join(" ");
  const accepted = verdicts.length - errors.length;
  return problem(errors.length < verdicts.length ? "partial_write" : "invalid_records", {
    detail:
      `${errors.length} of ${verdicts.length} records were refused${accepted > 0 ? ", the others are written" : ""}. ` +
      `The first: ${where || "a record"} ${first.message}.`,
    requestId,
    errors,
    headers,
    extra: { accepted, rejected: errors.length },
  });
}

type Written = Pick<Elements, "samples" | "histograms" | "exemplars">;

const NOTHING: Written = { samples: 0, histograms: 0, exemplars: 0 };

/** 2.0 asks for them with every answer behind the negotiation; for 1.0 they are not defined. */
function writtenHeaders(version: WriteVersion, written: Written): Record<string, string> {
  if (version === "v1") return {};
  return {
    "X-Prometheus-Remote-Write-Samples-Written": String(written.samples),
    "X-Prometheus-Remote-Write-Histograms-Written": String(written.histograms),
    "X-Prometheus-Remote-Write-Exemplars-Written": String(written.exemplars),
  };
}

function unavailable(missed: NotDurable, requestId: string, headers: Record<string, string>): Response {
  const response = notDurable(missed, requestId);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** Snappy is this protocol's affair, not that of the body's reader. */
function withoutEncoding(request: Request): Request {
  const headers = new Headers(request.headers);
  headers.delete("content-encoding");
  return new Request(request, { headers });
}
