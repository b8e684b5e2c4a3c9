// The fields of a request's outermost message, one at a time: a series becomes records before the next one is decoded,
// so that memory holds one decoded series, and a text that is no UTF-8 spoils only its own. The bytes were scanned.
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { reject, type Rejection } from "../result.ts";

/** Calls `visit` with the bytes of each length-delimited field of that number, in order. */
export function eachMessage(
  bytes: Uint8Array,
  fieldNo: number,
  visit: (message: Uint8Array, index: number) => void,
): void {
  const reader = new BinaryReader(bytes);
  let index = 0;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    const length = reader.uint32();
    const start = reader.pos;
    reader.pos += length;
    if (number === fieldNo) visit(bytes.subarray(start, reader.pos), index++);
  }
}

export function invalidText(path: string): Rejection {
  return reject("invalid_utf8", path, "holds a text that is not UTF-8").error;
}
