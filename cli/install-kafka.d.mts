/** What this machine lacks to install and run Kafka; empty when nothing. */
export declare function missingForKafka(): string[];
/** Fetches Kafka's jars when they are not there; resolves to their folder. */
export declare function installKafka(): Promise<string>;
