/** The bodies of the consumer endpoints, with the codes Karapace has for what is wrong in them: mostly 500 50001. */
import type { TopicPartition } from "../../groups/committed-offsets.ts";
import type { TopicPartitionOffset } from "../../groups/groups.ts";
import { ApiError } from "../../http/api-error.ts";
import { type JsonObject, isObject, optionalInteger } from "./request.ts";

const FORMATS = ["json", "avro", "binary", "jsonschema", "protobuf"];

export interface CreateConsumer {
  name: string | undefined;
  format: string;
  reset: "earliest" | "latest";
  autoCommit: boolean;
}

export function parseConsumerSettings(json: JsonObject): CreateConsumer {
  const { name, format = "binary" } = json;
  if (typeof format !== "string" || !FORMATS.includes(format)) {
    throw new ApiError(42204, "Invalid format type");
  }
  const minBytes = json["fetch.min.bytes"];
  if (minBytes !== undefined && !(typeof minBytes === "number" && minBytes >= -1)) {
    throw new ApiError(42204, "Expected fetch.min.bytes to be >= -1");
  }
  const wanted = json["auto.offset.reset"] ?? "earliest";
  const reset = typeof wanted === "string" ? wanted.toLowerCase() : "";
  if (reset !== "earliest" && reset !== "latest") {
    const message =
      "Invalid value bar for configuration auto.offset.reset: String must be one of: earliest, latest";
    throw new ApiError(42204, message);
  }
  optionalInteger(json, "consumer.request.timeout.ms");
  const commit = json["auto.commit.enable"] ?? true;
  return {
    name: typeof name === "string" && name !== "" ? name : undefined,
    format,
    reset,
    autoCommit: typeof commit === "string" ? commit.toLowerCase() === "true" : Boolean(commit),
  };
}

/** {"partitions":[{"topic":"t","partition":0}]} */
export function parsePartitions(json: JsonObject): TopicPartition[] {
  return entries(json, "partitions").map(parseTopicPartition);
}

/** {"offsets":[{"topic":"t","partition":0,"offset":1}]} */
export function parseOffsets(json: JsonObject): TopicPartitionOffset[] {
  return entries(json, "offsets").map((entry) => ({
    ...parseTopicPartition(entry),
    offset: integer(entry, "offset"),
  }));
}

function parseTopicPartition(entry: JsonObject): TopicPartition {
  const { topic } = entry;
  if (typeof topic !== "string") throw missing("topic", entry);
  return { topic, partition: integer(entry, "partition") };
}

function entries(json: JsonObject, key: string): JsonObject[] {
  const list = json[key];
  if (!Array.isArray(list) || !list.every(isObject)) throw missing(key, json);
  return list;
}

function integer(entry: JsonObject, key: string): number {
  return optionalInteger(entry, key) ?? fail(missing(key, entry));
}

function missing(key: string, element: JsonObject): ApiError {
  return new ApiError(50001, `${key} missing from ${JSON.stringify(element)}`);
}

function fail(error: ApiError): never {
  throw error;
}
