import { DurableObject } from "cloudflare:workers";

export class PartitionConsumer extends DurableObject<Env> {}
