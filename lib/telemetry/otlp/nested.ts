// Builds one protobuf message from the inside: encoded records, put into encoded shells (a resource, a scope, a metric
// without what they hold). Nothing is encoded twice, and every byte is copied once.

/** A message without its children, and its field's number in its parent. */
export interface Shell {
  head: Uint8Array;
  field: number;
}

interface Node extends Shell {
  children: Node[];
  /** Bytes of the head and of all within. */
  size: number;
}

/** The most that a tag of a field below 16 and a length below 2^28 take. */
const MAX_FRAME_BYTES = 5;

export class Nested {
  readonly #roots: Node[] = [];
  /** The nodes that take the next record if its shells are theirs, outermost first. */
  #open: { shell: Shell; node: Node }[] = [];
  #bound = 0;

  /** An upper bound of what one record takes in a message of its own. */
  static boundOf(shells: readonly Shell[], record: Shell): number {
    return shells.reduce(
      (sum, { head }) => sum + head.length + MAX_FRAME_BYTES,
      record.head.length + MAX_FRAME_BYTES,
    );
  }

  /** An upper bound of the message with one more record. */
  boundWith(shells: readonly Shell[], record: Shell): number {
    return this.#bound + Nested.boundOf(shells.slice(this.#inCommon(shells)), record);
  }

  /** @param shells what the record is in, outermost first; the same objects for the same messages */
  add(shells: readonly Shell[], record: Shell): void {
    this.#bound = this.boundWith(shells, record);
    this.#open.length = this.#inCommon(shells);
    let siblings = this.#open.at(-1)?.node.children ?? this.#roots;
    for (const shell of shells.slice(this.#open.length)) {
      const node = { ...shell, children: [], size: 0 };
      siblings.push(node);
      this.#open.push({ shell, node });
      siblings = node.children;
    }
    siblings.push({ ...record, children: [], size: 0 });
  }

  /** @param tail what stands behind all of it */
  finish(tail: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(measure(this.#roots) + tail.length);
    bytes.set(tail, write(this.#roots, bytes, 0));
    return bytes;
  }

  #inCommon(shells: readonly Shell[]): number {
    const other = this.#open.findIndex(({ shell }, level) => shell !== shells[level]);
    return other === -1 ? this.#open.length : other;
  }
}

// Both recurse as deep as there are shells: four levels.

function measure(nodes: Node[]): number {
  let sum = 0;
  for (const node of nodes) {
    node.size = node.head.length + measure(node.children);
    sum += 1 + lengthBytes(node.size) + node.size;
  }
  return sum;
}

function write(nodes: readonly Node[], bytes: Uint8Array, from: number): number {
  let at = from;
  for (const { field, head, children, size } of nodes) {
    // Wire type 2: a length and as many bytes.
    bytes[at++] = (field << 3) | 2;
    let rest = size;
    for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
    bytes[at++] = rest;
    bytes.set(head, at);
    at = write(children, bytes, at + head.length);
  }
  return at;
}

const lengthBytes = (size: number): number =>
  size < 0x80 ? 1 : size < 0x4000 ? 2 : size < 0x20_0000 ? 3 : 4;
