// Intents beside the store in memory. Each call is atomic, since nothing in it waits.
import { MemoryClaims } from "./memory-claims.ts";
import { checkedCommit, partitionKey } from "./memory-tables.ts";
import type { Intent, IntentControl } from "./intent-control.ts";
import type { MemoryStore } from "./memory.ts";
import { StorageError, type PartitionCommit, type PartitionId } from "./storage.ts";

export function createMemoryIntentControl({ stream, tables }: MemoryStore): IntentControl {
  const open = new Map<string, Intent>();

  /** The intent, where it is still the one that is open. */
  const current = (id: PartitionId & { token: string }) => {
    const intent = open.get(partitionKey(id));
    return intent?.block.token === id.token ? intent : undefined;
  };

  const isHeld = (commit: PartitionCommit) => {
    const held = new MemoryClaims();
    for (const intent of open.values()) held.add(intent.commit.claims, 0);
    return held.forbids(commit.claims);
  };

  const checked = (commit: PartitionCommit) => {
    if (open.has(partitionKey(commit))) return "fenced";
    const ready = checkedCommit(tables, commit);
    if (typeof ready === "string") return ready;
    return isHeld(commit) ? "conflict" : ready;
  };

  return {
    ...stream,
    async commit(commit) {
      const ready = checked(commit);
      return typeof ready === "string" ? ready : ready.apply();
    },
    async openIntent(id) {
      return structuredClone(open.get(partitionKey(id)));
    },
    async begin(intent) {
      const ready = checked(intent.commit);
      if (typeof ready === "string") return ready;
      open.set(partitionKey(intent.block), structuredClone(intent));
      return "begun";
    },
    async retry({ block }, atMs) {
      const intent = current(block);
      if (intent) intent.triedAtMs = Math.max(intent.triedAtMs, atMs);
      return intent !== undefined;
    },
    async finish(block) {
      const intent = current(block);
      if (!intent) return "fenced";
      // What the block holds is written already, whatever is dropped by its age meanwhile.
      const ready = checkedCommit(tables, { ...intent.commit, rawFloorDay: Number.MAX_SAFE_INTEGER });
      if (typeof ready === "string") throw new StorageError(`an open intent was passed by: ${ready}`);
      open.delete(partitionKey(block));
      return ready.apply(Object.values(intent.block.counts).reduce((sum, count) => sum + count, 0));
    },
    async abandon({ block, triedAtMs }) {
      if (current(block)?.triedAtMs === triedAtMs) open.delete(partitionKey(block));
    },
  };
}
