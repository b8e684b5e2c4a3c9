// From the measures of single rounds to what is reported: medians with their range. A ratio is taken within a round,
// where both sides met the same noise, and only then is the median taken. Pure.

export type Spread = { median: number; min: number; max: number };

/** What one lane did in one round. */
export type RoundMeasure = {
  requests: number;
  records: number;
  /** Calls that reached Kafka (for the floors, the sink). */
  produceRequests: number;
  elapsedMs: number;
  /** Of the workerd process alone, all its threads. */
  cpuMs: number;
  p50Ms: number;
  p99Ms: number;
};

export type LaneFigures = {
  requests: number;
  records: number;
  recordsPerSecond: Spread;
  requestsPerSecond: Spread;
  callsPerSecond: Spread;
  cpuMicrosPerRecord: Spread;
  p50Ms: Spread;
  p99Ms: Spread;
};

/** Against the floor of the same rounds. */
export type Ratio = { cpu: Spread; rate: Spread };

/** @throws RangeError without values */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: quantile(sorted, 0.5), min: quantile(sorted, 0), max: quantile(sorted, 1) };
}

/**
 * Linear between the two nearest ranks.
 *
 * @param sorted ascending
 * @throws RangeError without values
 */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = (sorted.length - 1) * share;
  const low = sorted[Math.floor(place)];
  const high = sorted[Math.ceil(place)];
  if (low === undefined || high === undefined) throw new RangeError("a quantile of nothing");
  return low + (high - low) * (place - Math.floor(place));
}

export function summarise(rounds: readonly RoundMeasure[]): LaneFigures {
  const spread = (of: (round: RoundMeasure) => number) => spreadOf(rounds.map(of));
  return {
    requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
    records: rounds.reduce((sum, { records }) => sum + records, 0),
    recordsPerSecond: spread(recordsPerSecond),
    requestsPerSecond: spread(({ requests, elapsedMs }) => (requests / elapsedMs) * 1_000),
    callsPerSecond: spread(({ produceRequests, elapsedMs }) => (produceRequests / elapsedMs) * 1_000),
    cpuMicrosPerRecord: spread(cpuMicrosPerRecord),
    p50Ms: spread(({ p50Ms }) => p50Ms),
    p99Ms: spread(({ p99Ms }) => p99Ms),
  };
}

/** Both lists in the order of the rounds. */
export function compare(rounds: readonly RoundMeasure[], floor: readonly RoundMeasure[]): Ratio {
  const ratios = (of: (round: RoundMeasure) => number) =>
    spreadOf(rounds.flatMap((round, i) => (floor[i] ? [of(round) / of(floor[i])] : [])));
  return { cpu: ratios(cpuMicrosPerRecord), rate: ratios(recordsPerSecond) };
}

function recordsPerSecond({ records, elapsedMs }: RoundMeasure): number {
  return (records / elapsedMs) * 1_000;
}

function cpuMicrosPerRecord({ records, cpuMs }: RoundMeasure): number {
  return (cpuMs * 1_000) / records;
}
