// One request of Kafka's protocol and its answer, at one version (kafka.apache.org/protocol, "The Messages"). Each is
// taken at the newest version without tagged fields, or older: every broker from Kafka 2.4 to 4.x, Redpanda and Event
// Hubs speak those, so nothing is negotiated. Where the library defines only newer ones, they are defined here.
import type { Reader, Writer } from "@platformatic/kafka";

export interface Message<Request, Response> {
  name: string;
  key: number;
  version: number;
  write(writer: Writer, request: Request): void;
  read(reader: Reader): Response;
}

export function writeList<T>(writer: Writer, items: readonly T[], write: (item: T) => unknown): void {
  writer.appendInt32(items.length);
  for (const item of items) write(item);
}

export function readList<T>(reader: Reader, read: () => T): T[] {
  return reader.readArray(read, false, false);
}

export function writeText(writer: Writer, text: string | null): Writer {
  return writer.appendString(text, false);
}

export function readText(reader: Reader): string {
  return reader.readString(false);
}

export function readNullableText(reader: Reader): string | null {
  return reader.readNullableString(false);
}

/** *(topic *(partition …)) for a single partition; `writeRest` writes what stands behind its number. */
export function writePartition(
  writer: Writer,
  topic: string,
  partition: number,
  writeRest: (writer: Writer) => unknown = () => undefined,
): void {
  writeList(writer, [topic], (name) => {
    writeText(writer, name);
    writeList(writer, [partition], (index) => writeRest(writer.appendInt32(index)));
  });
}

/** *(topic *(partition …)) where one partition was asked for; `read` reads what stands behind its number. */
export function readPartition<T>(reader: Reader, read: () => T): T | undefined {
  const [answer] = readList(reader, () => {
    readText(reader);
    return readList(reader, () => {
      reader.skip(4);
      return read();
    });
  }).flat();
  return answer;
}
