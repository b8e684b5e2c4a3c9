// What the processors write is what is stored: on `logs.processed` each stored log, as it is stored, under the identity
// that it has on `logs.raw`; on `events.processed` what the handler made of each stored order. One content for each
// identity, however often it was sent, and nothing of what is not stored.
import type { LoggedMessage } from "./kafka-log.ts";
import { ID } from "./kafka-log.ts";
import { LARGE_ORDER } from "./requests.ts";
import { RANGE, readAll } from "./stored.ts";
import type { Truth } from "./truth.ts";
import type { World } from "./world.ts";

const MAX_TOLD = 5;

interface Envelope {
  tenant: string;
  batch: string;
  indices: number[];
  entries: Record<string, unknown>[];
}

interface StoredEvent {
  event_type: string;
  data: { id?: string; order?: string; amount?: number };
}

/** By the record's id: what was told, and under which identity. */
type Told = Map<string, Map<string, string>>;

/** @returns faults */
export async function checkProcessed(world: World, truth: Truth): Promise<string[]> {
  const faults: string[] = [];
  const logsOf = (topic: string) =>
    truth.logs.filter((log) => log.topic === topic).flatMap(({ messages }) => messages);

  const logs = await readAll<Record<string, unknown>>(world, `/api/v1/logs?limit=1000&${RANGE}`);
  const told = readTold(logsOf("logs.processed"), (entry) => String(entry.message).match(ID)?.[0], faults);
  const wanted = new Map(logs.map((row) => [String(row.message).match(ID)?.[0] ?? "", contentOf(row)]));
  faults.push(...compare("logs.processed", told, wanted));
  faults.push(...checkIdentities(told, readIdentities(logsOf("logs.raw"))));

  const events = await readAll<StoredEvent>(world, `/api/v1/events?limit=1000&${RANGE}`);
  const large = events.filter(
    ({ data: { order, amount = 0 } }) => order !== undefined && amount >= LARGE_ORDER,
  );
  const made = readTold(
    logsOf("events.processed"),
    ({ data }) => (data as { order?: string } | undefined)?.order,
    faults,
  );
  const orders = large.map(({ data: { order = "", amount } }) => [order, `${amount}`] as const);
  faults.push(...compare("events.processed", made, new Map(orders), amountOf));
  return faults.slice(0, MAX_TOLD);
}

const amountOf = (content: string): string =>
  `${(JSON.parse(content) as { data: { amount?: number } }).data.amount}`;

/** `detail` stays where it is, the API tells no `id`, and null of what is not there; the order of the fields says nothing. */
function contentOf(record: Record<string, unknown>): string {
  const fields = Object.entries(record).filter(
    ([name, value]) => name !== "detail" && name !== "id" && value !== null,
  );
  return JSON.stringify(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function readTold(
  messages: readonly LoggedMessage[],
  idOf: (entry: Record<string, unknown>) => string | undefined,
  faults: string[],
): Told {
  const told: Told = new Map();
  const contents = new Map<string, string>();
  for (const { value, partition, offset } of messages) {
    const { tenant, batch, indices, entries } = JSON.parse(value?.toString() ?? "{}") as Envelope;
    for (const [place, entry] of entries.entries()) {
      const identity = `${tenant}/${batch}/${indices[place]}`;
      const text = JSON.stringify(entry);
      if ((contents.get(identity) ?? text) !== text) faults.push(`${identity} was sent with two contents`);
      contents.set(identity, text);
      const id = idOf(entry) ?? `none at ${partition}/${offset}`;
      const all = told.get(id) ?? new Map<string, string>();
      told.set(id, all.set(identity, text));
    }
  }
  return told;
}

/** @param formOf of what was told, to be compared with what is wanted */
function compare(
  topic: string,
  told: Told,
  wanted: ReadonlyMap<string, string>,
  formOf = (content: string) => contentOf(JSON.parse(content) as Record<string, unknown>),
): string[] {
  const faults: string[] = [];
  for (const [id, content] of wanted) {
    const all = [...(told.get(id)?.values() ?? [])];
    if (all.length === 0) faults.push(`${topic} lacks ${id}`);
    else if (all.length > 1) faults.push(`${topic} has ${id} under ${all.length} identities`);
    else if (formOf(all[0] ?? "") !== content)
      faults.push(`${topic} has another ${id}: ${all[0]}, not ${content}`);
  }
  for (const id of told.keys()) if (!wanted.has(id)) faults.push(`${topic} has ${id}, which is not stored`);
  return faults;
}

/** Of each record the identities under which it was accepted, where the message is an envelope. */
function readIdentities(messages: readonly LoggedMessage[]): Map<string, Set<string>> {
  const identities = new Map<string, Set<string>>();
  for (const { value } of messages) {
    const text = value?.toString() ?? "";
    if (!text.startsWith('{"v":1,')) continue;
    const { tenant, batch, indices, entries } = JSON.parse(text) as Envelope;
    for (const [place, entry] of entries.entries()) {
      const id = String(entry.message).match(ID)?.[0] ?? "";
      identities.set(id, (identities.get(id) ?? new Set()).add(`${tenant}/${batch}/${indices[place]}`));
    }
  }
  return identities;
}

function checkIdentities(told: Told, known: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return [...told].flatMap(([id, contents]) => {
    const accepted = known.get(id);
    return [...contents.keys()]
      .filter((identity) => accepted !== undefined && !accepted.has(identity))
      .map((identity) => `${id} is on logs.processed as ${identity}, and was accepted as none such`);
  });
}
