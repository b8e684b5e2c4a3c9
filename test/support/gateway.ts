// local-kafka as a gateway in front of a real broker, on a port of its own.
import { openClusterGateway, type ClusterGatewayOptions } from "../../local-kafka/broker.ts";
import { serveLocalKafka, type LocalKafkaServer } from "../../local-kafka/server.ts";

export async function startGateway(
  bootstrap: string,
  options: Omit<ClusterGatewayOptions, "cluster"> = {},
): Promise<LocalKafkaServer> {
  const [host = "", port] = bootstrap.split(":");
  const cluster = { bootstrap: [{ host, port: Number(port) }], security: {} };
  return await serveLocalKafka(await openClusterGateway({ ...options, cluster }), "127.0.0.1", 0);
}
