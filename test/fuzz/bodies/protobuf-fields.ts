// Fields of protobuf, to build messages of.
import { encodeText } from "./mutate-bytes.ts";
import { newField, type Field } from "./protobuf-tree.ts";

export const many = (count: number, make: (i: number) => Field): Field[] =>
  Array.from({ length: count }, (_, i) => make(i));
/** Lists may be longer than a call's arguments. */
export const message = (number: number, ...fields: (Field | Field[])[]): Field =>
  newField(number, { message: fields.flat() });
export const text = (number: number, value: string): Field => newField(number, { bytes: encodeText(value) });
export const varint = (number: number, value: bigint): Field => newField(number, { wire: 0, varint: value });
/** A KeyValue of an integer. */
export const attribute = (i: number): Field => message(1, text(1, `k${i}`), message(2, varint(3, BigInt(i))));
