// What a test inside workerd asks of the Kafka in Node: the two sides of http://control.test share this shape.

export interface KafkaFault {
  method: "GET" | "POST";
  /** Requests whose path holds this are hit. */
  path: string;
  times: number;
  /** `refuse` answers instead of Kafka; `lose-answer` lets Kafka write first. */
  kind: "refuse" | "lose-answer";
  status?: number;
  body?: string;
  contentType?: string;
}
