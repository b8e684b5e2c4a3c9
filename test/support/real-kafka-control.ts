// Node's side of tests that reach a real Kafka from inside workerd: starts it on first request, says where it listens,
// and makes it fail. POST with a JSON body; 503 with the reason where there is none on this machine.
import type { RealKafka } from "./real-kafka.ts";
import type { TcpFaults } from "./tcp-faults.ts";

interface Opened {
  kafka: RealKafka;
  faults: TcpFaults;
}

interface Partition {
  topic: string;
  partition: number;
  before: number;
}

export function createRealKafkaControl(): (request: Request) => Promise<Response> {
  let opened: Promise<Opened> | undefined;

  const controls: Record<string, (opened: Opened, body: never) => Promise<unknown>> = {
    "/open": async ({ kafka, faults }) => ({
      proxied: `127.0.0.1:${faults.port}`,
      sasl: kafka.sasl,
      tls: kafka.tls,
    }),
    "/topics": ({ kafka }, { name, partitions }: { name: string; partitions: number }) =>
      kafka.createTopic(name, partitions),
    "/trim": ({ kafka }, { topic, partition, before }: Partition) =>
      kafka.deleteRecords(topic, partition, before),
    "/lose-next-answer": async ({ faults }) => faults.loseNextAnswer(),
    "/hang": async ({ faults }) => faults.hang(),
    "/heal": async ({ faults }) => faults.heal(),
    async "/restart"({ kafka }) {
      await kafka.kill();
      await kafka.start();
    },
    async "/close"({ kafka, faults }) {
      opened = undefined;
      await kafka.close();
      await faults.close();
    },
  };

  return async (request) => {
    // Only now: it looks around for Java, and is loud where there is none.
    const { realKafka } = await import("./real-kafka.ts");
    if (!realKafka.available) return new Response(realKafka.why, { status: 503 });
    const { pathname } = new URL(request.url);
    if (pathname === "/available") return new Response(null, { status: 204 });
    const act = controls[pathname];
    if (!act) return new Response("no such control", { status: 404 });
    const body = (await request.json()) as never;
    return Response.json((await act(await (opened ??= open()), body)) ?? null);
  };
}

async function open(): Promise<Opened> {
  const [{ startRealKafka }, { startTcpFaults }] = await Promise.all([
    import("./real-kafka.ts"),
    import("./tcp-faults.ts"),
  ]);
  const faults = await startTcpFaults();
  const kafka = await startRealKafka({ advertisedPort: faults.port, sasl: true, tls: true });
  faults.forwardTo(kafka.proxiedPort ?? 0);
  return { kafka, faults };
}
