// One client: a request at a time, tried again until it is answered 2xx where a retry counts once, and now and then sent
// again although it was. It keeps what it was answered about each record, and never lets two of its requests overlap.
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../fuzz/bodies/random.ts";
import { devKey } from "../support/start.ts";
import type { Load } from "./load.ts";
import { makeRequest, sizeOf, type ChaosRequest, type LaneOptions } from "./requests.ts";

/** A request as it went, over all of its tries. */
export interface SentRequest {
  lane: number;
  number: number;
  ids: string[];
  /** How often each record was answered as accepted. */
  accepted: number[];
  /** When it was begun, and when the last of it was first accepted; of one clock. */
  startedMs: number;
  ackedMs: number;
  /** Some of it was, or may have been, kept by the spillway. */
  isSpilled: boolean;
}

export interface LaneLog {
  options: LaneOptions;
  requests: SentRequest[];
  /** Statuses (`202 spilled` apart), and `error` for connections that broke or hung. */
  answers: Map<string, number>;
  /** What no answer may say. */
  wrong: string[];
  /** Records in requests that were never answered in full: they may count as accepted. */
  unanswered: number;
}

const REQUEST_TIMEOUT_MS = 25_000;
const MIN_PAUSE_MS = 30;
const MAX_PAUSE_MS = 400;
/** After one request in so many, it or an earlier one is sent again. */
const AGAIN_ONE_IN = 6;
const MAX_WRONG = 20;

export interface Target {
  readonly url: string;
  /** Whether the worker runs; a client that met nobody asks again, and no record comes of it. */
  readonly isUp: boolean;
}

export async function runLane(target: Target, options: LaneOptions, load: Load): Promise<LaneLog> {
  const log: LaneLog = { options, requests: [], answers: new Map(), wrong: [], unanswered: 0 };
  for (let number = 0; await load.take(sizeOf(options, number)); number++) {
    await load.during(() => runRequest(target, number, load, log));
  }
  return log;
}

async function runRequest(target: Target, number: number, load: Load, log: LaneLog): Promise<void> {
  const { options } = log;
  const random = Random.of(options.seed * 37 + options.lane, number);
  const whole = makeRequest(options, number);
  const sent: SentRequest = {
    lane: options.lane,
    number,
    ids: whole.ids,
    accepted: whole.ids.map(() => 0),
    startedMs: performance.now(),
    ackedMs: Infinity,
    isSpilled: false,
  };
  log.requests.push(sent);
  const send = async (request: ChaosRequest, of = sent) => {
    while (!target.isUp && !load.isOver) await sleep(MIN_PAUSE_MS);
    note(log, of, request, await post(target.url, request));
  };
  const isAccepted = () => sent.accepted.every((count) => count > 0);
  const mayRetry = () => options.kind !== "plain" && !load.isOver;

  await Promise.all(
    Array.from({ length: options.kind === "racing" ? random.between(2, 3) : 1 }, () => send(whole)),
  );
  while (mayRetry() && !isAccepted()) {
    await sleep(random.between(MIN_PAUSE_MS, MAX_PAUSE_MS));
    for (const request of regrouped(options, number, whole, random)) await send(request);
  }
  // Whoever may not try again goes on no faster than those who do.
  if (!isAccepted()) return await sleep(random.between(MIN_PAUSE_MS, MAX_PAUSE_MS));
  sent.ackedMs = performance.now();
  if (!mayRetry() || !random.oneIn(AGAIN_ONE_IN)) return;
  // Some clients find out late that they have sent what they still hold.
  const again = random.oneIn(2) ? sent : (log.requests[random.below(log.requests.length)] as SentRequest);
  if (again.ackedMs === Infinity) return;
  const request = makeRequest(options, again.number);
  for (const part of regrouped(options, again.number, request, random)) await send(part, again);
}

/** Records with ids of their own may come back in other company, the last first. */
function regrouped(
  options: LaneOptions,
  number: number,
  whole: ChaosRequest,
  random: Random,
): ChaosRequest[] {
  const { length } = whole.ids;
  if (options.kind !== "own-ids" || length < 2) return [whole];
  const cut = random.between(1, length - 1);
  const places = Array.from({ length }, (_, i) => i);
  return [places.slice(cut), places.slice(0, cut)].map((part) => makeRequest(options, number, part));
}

export type Answer = { status: number; body: unknown } | undefined;

export async function post(url: string, { path, headers, body }: ChaosRequest): Promise<Answer> {
  try {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { ...headers, Authorization: `Bearer ${devKey}` },
      body,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return undefined;
  }
}

interface Accepted {
  durability?: string;
  results?: { index: number; status: string }[];
  partialSuccess?: object;
}

/** Keeps what was answered. */
export function note(log: LaneLog, sent: SentRequest, { ids }: ChaosRequest, answer: Answer): void {
  const accept = (id: string) => {
    const place = sent.ids.indexOf(id);
    sent.accepted[place] = (sent.accepted[place] ?? 0) + 1;
  };
  const body = (answer?.body ?? {}) as Accepted;
  const status = answer === undefined ? "error" : String(answer.status);
  const told = body.durability === "spilled" ? `${status} spilled` : status;
  log.answers.set(told, (log.answers.get(told) ?? 0) + 1);
  // OTLP's answer does not say where its records lie.
  if (answer && answer.status < 300 && body.durability !== "kafka") sent.isSpilled = true;
  switch (answer?.status) {
    case 200:
    case 202:
      if (body.partialSuccess === undefined) return ids.forEach(accept);
      break;
    case 207: {
      const bad = new Map((body.results ?? []).map((result) => [result.index, result.status]));
      if ([...bad.values()].some((verdict) => verdict !== "retry")) break;
      return ids.forEach((id, index) => {
        if (!bad.has(index)) accept(id);
      });
    }
    case 429:
    case 503:
      return;
    case undefined:
      log.unanswered += ids.length;
      return;
  }
  if (log.wrong.length < MAX_WRONG) log.wrong.push(`${status}: ${JSON.stringify(body).slice(0, 300)}`);
}
