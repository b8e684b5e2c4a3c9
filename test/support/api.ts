// A client of Weir's HTTP API for e2e tests, over real sockets.
import { devKey } from "./start.ts";

const headers = { Authorization: `Bearer ${devKey}` };

export async function postLogs(url: string, body: unknown, timeoutMs = 20_000): Promise<Response> {
  return await postTo(url, "/api/v1/logs", body, timeoutMs);
}

export async function postTo(
  url: string,
  path: string,
  body: unknown,
  timeoutMs = 20_000,
): Promise<Response> {
  return await fetch(`${url}${path}`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
}

export async function getJson<T>(url: string, path: string): Promise<T> {
  const response = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(20_000) });
  if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

export interface LogRow {
  message: string;
  service: string;
}

/** Every log of a service, page after page by the Link header. */
export async function allLogs(url: string, service: string): Promise<LogRow[]> {
  const rows: LogRow[] = [];
  let path: string | undefined = `/api/v1/logs?limit=1000&service=${encodeURIComponent(service)}`;
  while (path !== undefined) {
    const response: Response = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(20_000) });
    if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    rows.push(...((await response.json()) as LogRow[]));
    path = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return rows;
}

export interface Message {
  offset: number;
  key: string | null;
  value: string;
}

/** Every message of a topic as the REST proxy tells them, by partition: an eye on Kafka that is not our client. */
export async function readTopic(kafkaUrl: string, topic: string, partitions = 3): Promise<Message[][]> {
  const all: Message[][] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const messages: Message[] = [];
    for (;;) {
      const next = (messages.at(-1)?.offset ?? -1) + 1;
      const response = await fetch(
        `${kafkaUrl}/topics/${topic}/partitions/${partition}/records?offset=${next}&timeout=0&max_bytes=1000000`,
        { headers: { Accept: "application/vnd.kafka.binary.v2+json" } },
      );
      if (response.status !== 200) throw new Error(`reading ${topic}/${partition}: ${await response.text()}`);
      const page = (await response.json()) as Message[];
      const fresh = page.filter(({ offset }) => offset >= next);
      if (fresh.length === 0) break;
      messages.push(...fresh);
    }
    all.push(messages);
  }
  return all;
}

export const text = (base64: string | null): string => Buffer.from(base64 ?? "", "base64").toString();
