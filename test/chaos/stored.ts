// What is stored, as the API tells it, page after page: how often each id is there.
import { ID } from "./kafka-log.ts";
import type { World } from "./world.ts";

const PAGE = 1_000;
/** The worker's clock may be hours off; nothing is to be left out for its time. */
export const RANGE = `from=2000-01-01T00:00:00Z&to=2099-01-01T00:00:00Z`;

interface Row {
  message?: string;
  data?: { id?: string };
  labels?: { id?: string };
  name?: string;
  value?: number;
}

const READINGS: { path: string; idOf: (row: Row) => string | undefined }[] = [
  { path: "logs", idOf: ({ message }) => message?.match(ID)?.[0] ?? message },
  { path: "metrics", idOf: ({ labels }) => labels?.id },
  { path: "events", idOf: ({ data }) => data?.id },
  { path: "traces", idOf: ({ name }) => name },
];

/** @param byPoint ids of points whose labels must not tell them apart, by {@link pointOf} */
export async function readStored(
  world: World,
  byPoint: ReadonlyMap<string, string> = new Map(),
): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const { path, idOf } of READINGS) {
    for (const row of await readAll<Row>(world, `/api/v1/${path}?limit=${PAGE}&${RANGE}`)) {
      const id = idOf(row) ?? byPoint.get(pointOf(row)) ?? `none: ${JSON.stringify(row).slice(0, 100)}`;
      times.set(id, (times.get(id) ?? 0) + 1);
    }
  }
  return times;
}

export const pointOf = ({ name, value }: Pick<Row, "name" | "value">): string => `${name} ${value}`;

/** Page after page. */
export async function readAll<T>(world: World, path: string): Promise<T[]> {
  const rows: T[] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const response: Response = await world.api(next);
    if (response.status !== 200) throw new Error(`GET ${next}: ${response.status} ${await response.text()}`);
    rows.push(...((await response.json()) as T[]));
    next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return rows;
}
