// server.properties of a one-node cluster on a small heap, with the listeners that a test asked for.

export interface KafkaListener {
  name: "DIRECT" | "PROXIED" | "SASL" | "TLS";
  protocol: "PLAINTEXT" | "SASL_PLAINTEXT" | "SASL_SSL";
  port: number;
  /** Where clients are told to go; differs from `port` behind a proxy. */
  advertisedPort: number;
}

export interface BrokerSettings {
  dataDir: string;
  controllerPort: number;
  listeners: readonly KafkaListener[];
  username: string;
  password: string;
  keystore: { path: string; password: string } | undefined;
  extra: Readonly<Record<string, string>>;
}

export const SASL_MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;

export function serverProperties(settings: BrokerSettings): string {
  const { listeners, controllerPort, username, password, keystore } = settings;
  const names = listeners.map(({ name, port }) => `${name}://127.0.0.1:${port}`);
  const properties: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "DIRECT",
    listeners: [...names, `CONTROLLER://127.0.0.1:${controllerPort}`].join(","),
    "advertised.listeners": listeners
      .map(({ name, advertisedPort }) => `${name}://127.0.0.1:${advertisedPort}`)
      .join(","),
    "listener.security.protocol.map": [
      ...listeners.map(({ name, protocol }) => `${name}:${protocol}`),
      "CONTROLLER:PLAINTEXT",
    ].join(","),
    "log.dirs": settings.dataDir,
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    // Its default of 128 MiB does not fit the heap.
    "log.cleaner.dedupe.buffer.size": "4194304",
    // A broker killed and started again must not wait for its own former session to end.
    "broker.heartbeat.interval.ms": "200",
    "broker.session.timeout.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "2",
  };
  for (const { name, protocol } of listeners) {
    const prefix = `listener.name.${name.toLowerCase()}`;
    if (protocol.startsWith("SASL")) {
      properties["sasl.enabled.mechanisms"] = SASL_MECHANISMS.join(",");
      properties[`${prefix}.plain.sasl.jaas.config`] =
        `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`;
      for (const mechanism of ["scram-sha-256", "scram-sha-512"]) {
        properties[`${prefix}.${mechanism}.sasl.jaas.config`] =
          "org.apache.kafka.common.security.scram.ScramLoginModule required;";
      }
    }
    if (protocol === "SASL_SSL" && keystore !== undefined) {
      properties[`${prefix}.ssl.keystore.type`] = "PKCS12";
      properties[`${prefix}.ssl.keystore.location`] = keystore.path;
      properties[`${prefix}.ssl.keystore.password`] = keystore.password;
      properties[`${prefix}.ssl.key.password`] = keystore.password;
    }
  }
  return Object.entries({ ...properties, ...settings.extra })
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
