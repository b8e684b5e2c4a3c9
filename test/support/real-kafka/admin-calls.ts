// What the harness itself asks of its one broker, each over a connection of its own to the listener that no fault is on.
import { type API, Connection, createTopicsV7, deleteRecordsV2, metadataV12 } from "@platformatic/kafka";

async function call<Args extends unknown[], Answer>(
  port: number,
  api: API<Args, Answer>,
  ...args: Args
): Promise<Answer> {
  const connection = new Connection("harness", { connectTimeout: 2_000 });
  connection.on("error", () => undefined);
  try {
    await connection.connect("127.0.0.1", port);
    return await api.async(connection, ...args);
  } finally {
    await connection.close();
  }
}

/** Whether the broker answers metadata requests and counts itself in. */
export async function isServing(port: number): Promise<boolean> {
  try {
    const { brokers, controllerId } = await call(port, metadataV12.api, [], false, false);
    return brokers.length === 1 && controllerId >= 0;
  } catch {
    return false;
  }
}

/** Resolves when every partition has a leader. */
export async function createTopic(
  port: number,
  name: string,
  partitions: number,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const configs = Object.entries(config).map(([key, value]) => ({ name: key, value }));
  const topic = { name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs };
  await call(port, createTopicsV7.api, [topic], 10_000, false);
  for (;;) {
    const { topics } = await call(port, metadataV12.api, [name], false, false).catch(() => ({ topics: [] }));
    const leaders = topics[0]?.partitions.filter(({ leaderId }) => leaderId >= 0).length ?? 0;
    if (leaders === partitions) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The partition starts at `before` afterwards. */
export async function deleteRecords(
  port: number,
  topic: string,
  partition: number,
  before: number,
): Promise<void> {
  const partitions = [{ partitionIndex: partition, offset: BigInt(before) }];
  await call(port, deleteRecordsV2.api, [{ name: topic, partitions }], 10_000);
}
