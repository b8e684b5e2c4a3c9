// Changes to JSON by its parts, on a tree that keeps what JSON.parse would drop: members that stand twice, numbers as they
// are spelled, texts that no JSON.stringify would write.
import { encodeText, mutateBytes, type Bytes } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

type Node = { raw: string } | { list: Node[] } | { members: { key: string; value: Node }[] };

/** Spelled as they stand in the text; most are JSON, some are not. */
const VALUES = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "1",
  "-1",
  "1e999",
  "-1e999",
  "1E400",
  "5e-324",
  "1e-400",
  "0.1",
  "1.7976931348623157e308",
  "9007199254740993",
  "18446744073709551615",
  "123456789012345678901234567890",
  "1544712660300",
  "1544712660300000000",
  "-62135596800",
  "253402300800",
  "1e21",
  "4294967296",
  "NaN",
  "Infinity",
  "01",
  "+1",
  ".5",
  "1.",
  "0x1",
  "undefined",
  "'a'",
  "",
  "{",
  "]",
  "//",
  '""',
  '"a"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\ud83d\\ude00"',
  '"\\"',
  '"\u0000"',
  '"\t"',
  '"1e5"',
  '"-1"',
  '"NaN"',
  '"Infinity"',
  '"stale"',
  '"9223372036854775808"',
  '"__proto__"',
  '"true"',
  '"2018-12-13T14:51:00.300Z"',
  '"2018-02-30"',
  '"0000-01-01"',
  '"9999-12-31T23:59:60Z"',
  '"now"',
  "[]",
  "{}",
  "[[]]",
  '{"a":1}',
  '{"__proto__":1}',
  '{"constructor":{"prototype":1}}',
  '{"a":1,"a":2}',
];
const KEYS = [
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '""',
  '"\\ud800"',
  '"a b"',
  '"0"',
  '"4294967295"',
  '"message"',
  '"level"',
  '"name"',
  '"value"',
  '"labels"',
  '"timestamp"',
  '"id"',
  '"key"',
  '"data"',
  '"event_type"',
  '"attributes"',
  '"entries"',
  '"metrics"',
  '"events"',
  '"v"',
  '"tenant"',
  '"indices"',
  '"stringValue"',
  '"intValue"',
  '"arrayValue"',
  '"kvlistValue"',
  '"asInt"',
  '"gauge"',
  '"detail"',
  '"kind"',
  '"specversion"',
  '"data_base64"',
  '"source"',
  '"metric_name"',
  '"tags"',
  '"database_type"',
  "a",
  "1",
];
const AROUND = ["\ufeff", " ", "\n", "\r\n", "\u2028", "\u0000", ",", "null", "{}", "[", "}", "/**/"];

/** @param other another text, to take parts from */
export function mutateJson(bytes: Uint8Array, random: Random, other: Uint8Array): Bytes {
  const root = treeOf(bytes);
  if (!root || random.oneIn(12)) return mutateBytes(bytes, random, other);
  for (let changes = random.pick([1, 1, 1, 2, 3, 6]); changes > 0; changes--)
    change(root, random, treeOf(other) ?? root);
  let text = spell(root);
  if (random.oneIn(15)) text = random.pick(AROUND) + text;
  if (random.oneIn(15)) text += random.pick(AROUND);
  if (random.oneIn(30)) text = text.slice(0, random.below(text.length));
  const written = encodeText(text);
  return random.oneIn(20) ? mutateBytes(written, random, other) : written;
}

function treeOf(bytes: Uint8Array): Node | undefined {
  try {
    return toNode(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

function toNode(value: unknown): Node {
  if (Array.isArray(value)) return { list: value.map(toNode) };
  if (typeof value !== "object" || value === null) return { raw: JSON.stringify(value) };
  const members = Object.entries(value).map(([key, child]) => ({
    key: JSON.stringify(key),
    value: toNode(child),
  }));
  return { members };
}

function spell(node: Node): string {
  if ("raw" in node) return node.raw;
  if ("list" in node) return `[${node.list.map(spell).join()}]`;
  return `{${node.members.map(({ key, value }) => `${key}:${spell(value)}`).join()}}`;
}

/** A place in the tree: the node there may be replaced. */
interface Place {
  node: Node;
  replace(node: Node): void;
}

function placesOf(root: Node): Place[] {
  const places: Place[] = [];
  const queue: Node[] = [root];
  for (let node = queue.pop(); node && places.length < 2_000; node = queue.pop()) {
    if ("list" in node) {
      const { list } = node;
      list.forEach((child, i) => places.push({ node: child, replace: (by) => (list[i] = by) }));
      queue.push(...list);
    } else if ("members" in node) {
      for (const member of node.members) {
        places.push({ node: member.value, replace: (by) => (member.value = by) });
        queue.push(member.value);
      }
    }
  }
  return places;
}

function change(root: Node, random: Random, other: Node): void {
  const places = placesOf(root);
  const place = random.pick(places);
  if (place === undefined) return;
  const { node } = place;
  switch (random.below(11)) {
    case 0:
    case 1:
    case 2:
      place.replace({ raw: random.pick(VALUES) });
      return;
    case 3:
      place.replace(structuredClone((random.pick(placesOf(other)) ?? place).node));
      return;
    case 4:
      place.replace(wrapped(node, random));
      return;
    case 5:
      place.replace({ raw: longText(random) });
      return;
    case 6:
      place.replace({
        raw: `${random.oneIn(2) ? "-" : ""}${"9".repeat(random.pick([16, 17, 20, 400]))}${random.pick(["", ".5", "e5", "e-9"])}`,
      });
      return;
    default:
      changeMembers(node, random);
  }
}

function changeMembers(node: Node, random: Random): void {
  if ("list" in node) {
    const at = random.below(node.list.length);
    const times = random.oneIn(60) ? random.between(1_000, 12_000) : random.between(1, 8);
    const [element] = node.list.splice(at, random.below(2));
    const kept = node.list[at] ?? element;
    if (kept) node.list.splice(at, 0, ...Array.from({ length: random.oneIn(3) ? 0 : times }, () => kept));
  } else if ("members" in node) {
    const at = random.below(node.members.length);
    const member = node.members[at];
    if (!member || random.oneIn(4)) {
      node.members.push({ key: random.pick(KEYS), value: { raw: random.pick(VALUES) } });
    } else if (random.oneIn(3)) node.members.splice(at, 1);
    else if (random.oneIn(2)) member.key = random.pick(KEYS);
    else {
      const times = random.oneIn(8) ? random.between(20, 200) : 1;
      for (let i = 0; i < times; i++) {
        const key = random.oneIn(2) ? member.key : JSON.stringify(`k${i}`);
        node.members.push({ key, value: structuredClone(member.value) });
      }
    }
  }
}

function wrapped(node: Node, random: Random): Node {
  const levels = random.oneIn(20) ? random.between(1_000, 4_000) : random.between(1, 40);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
    ['{"kvlistValue":{"values":[{"key":"k","value":', "}]}}"],
    ['{"arrayValue":{"values":[', "]}}"],
  ] as const);
  return { raw: open.repeat(levels) + spell(node) + close.repeat(levels) };
}

function longText(random: Random): string {
  const length = random.pick([199, 200, 201, 341, 342, 1_023, 1_025, 87_382, 262_144, 262_145]);
  return `"${random.pick(["a", "é", "€", "😀", "\\n", "\\u0041", "\u007f", "ŉ"]).repeat(random.oneIn(6) ? length : Math.min(length, 1_025))}"`;
}
