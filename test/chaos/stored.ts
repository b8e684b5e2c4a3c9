// What is stored, as the API tells it, page after page: how often each id is there.
import type { World } from "./world.ts";

const PAGE = 1_000;
/** The worker's clock may be hours off; nothing is to be left out for its time. */
const RANGE = `from=2000-01-01T00:00:00Z&to=2099-01-01T00:00:00Z`;

interface Row {
  message?: string;
  data?: { id?: string };
  labels?: { id?: string };
  name?: string;
}

const READINGS: { path: string; idOf: (row: Row) => string | undefined }[] = [
  { path: "logs", idOf: ({ message }) => message },
  { path: "metrics", idOf: ({ labels }) => labels?.id },
  { path: "events", idOf: ({ data }) => data?.id },
  { path: "traces", idOf: ({ name }) => name },
];

export async function readStored(world: World): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const { path, idOf } of READINGS) {
    let next: string | undefined = `/api/v1/${path}?limit=${PAGE}&${RANGE}`;
    while (next !== undefined) {
      const response: Response = await world.api(next);
      if (response.status !== 200)
        throw new Error(`GET ${next}: ${response.status} ${await response.text()}`);
      for (const row of (await response.json()) as Row[]) {
        const id = idOf(row) ?? `none: ${JSON.stringify(row).slice(0, 100)}`;
        times.set(id, (times.get(id) ?? 0) + 1);
      }
      next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    }
  }
  return times;
}
