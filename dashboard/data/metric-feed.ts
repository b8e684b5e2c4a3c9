// Keeps the last minutes of one metric up to date: the whole span at first and once a minute, in between only what
// is new, with an overlap for what arrives late. So an open page costs the server little.
import type { Answer, Api } from "./api-client.ts";
import { type Series, SeriesStore, sumByTime } from "./series.ts";
import { type MetricPoint, parseMetrics } from "./shapes.ts";

const spanMinutes = 15;
export const chartSpanMs = spanMinutes * 60_000;

const fullEveryMs = 60_000;
const overlapMs = 30_000;
/** 1,000 points a page hold five hosts at the default interval; more pages than this are left out. */
const maxPages = 4;

export const hostOf = (labels: Record<string, string>): string =>
  labels["host"] || labels["service"] || "unnamed";

export class MetricFeed {
  readonly #path: string;
  readonly #store = new SeriesStore(chartSpanMs, hostOf);
  readonly #sum: boolean;
  #fullAtMs = Number.NEGATIVE_INFINITY;
  #newestMs = 0;

  /** `sum` adds up the points of one host and time: one line for all of its interfaces. */
  constructor(name: string, options: { sum?: boolean } = {}) {
    this.#path = `/api/v1/metrics?name=${encodeURIComponent(name)}&limit=1000`;
    this.#sum = options.sum ?? false;
  }

  async refresh(api: Api): Promise<Answer<Series[]>> {
    const nowMs = api.nowMs();
    const full = nowMs - this.#fullAtMs >= fullEveryMs || this.#newestMs === 0;
    const from = full ? `-${spanMinutes}m` : new Date(this.#newestMs - overlapMs).toISOString();
    const points: MetricPoint[] = [];
    let path: string | undefined = `${this.#path}&from=${encodeURIComponent(from)}`;
    for (let page = 0; path !== undefined && page < maxPages; page += 1) {
      const answer: Answer<MetricPoint[]> = await api.get(path, parseMetrics);
      if (!answer.ok) return answer;
      points.push(...answer.value);
      path = answer.value.length > 0 ? answer.next : undefined;
    }
    if (full) this.#fullAtMs = nowMs;
    this.#newestMs = points.reduce((newest, { atMs }) => Math.max(newest, atMs), this.#newestMs);
    this.#store.add(this.#sum ? sumByTime(points, hostOf) : points, nowMs);
    return { ok: true, value: this.#store.series(), next: undefined };
  }
}
