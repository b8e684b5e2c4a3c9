// Two stores without transactions, in memory: one that knows repeated blocks by their tokens for so many blocks (as
// ClickHouse does: insert_deduplication_token, replicated_deduplication_window), and one that puts objects and names them
// in a manifest by which readers go (as on R2). Neither looks at places: what is written twice is there twice.
import type { Block, BlockSink } from "../../lib/storage/intent.ts";
import { SIGNALS, type Signal } from "../../lib/telemetry/signal.ts";
import { parseTimestamp } from "../../lib/telemetry/time.ts";
import { StorageError, type Row } from "../../lib/storage/storage.ts";

export interface MemorySink extends BlockSink {
  /** What readers see. @param epoch undefined: of all */
  rows(epoch?: number): Row<Signal>[];
}

/** @param remembered how many blocks it knows by their tokens */
export function createTokenSink(remembered: number): MemorySink {
  const blocks: Block[] = [];
  return {
    async write(block) {
      check(block);
      const isKnown = blocks.slice(-remembered).some(({ token }) => token === block.token);
      if (!isKnown) blocks.push(structuredClone(block));
    },
    async holds({ token }) {
      return blocks.some((block) => block.token === token) ? "whole" : "none";
    },
    async rehearse(block) {
      check(block);
    },
    rows: (epoch) => blocks.filter((block) => (epoch ?? block.epoch) === block.epoch).flatMap(rowsOf),
  };
}

export interface ManifestSink extends MemorySink {
  /** Objects that no manifest names. */
  orphans(): number;
}

/** @param between runs after the object is there and before the manifest names it */
export function createManifestSink(between: () => Promise<void> = async () => undefined): ManifestSink {
  const objects = new Map<string, Block>();
  /** Object by token: the first to be named stays. */
  const manifest = new Map<string, string>();
  return {
    async write(block) {
      check(block);
      const name = `${block.token}/${objects.size}`;
      objects.set(name, structuredClone(block));
      await between();
      if (!manifest.has(block.token)) manifest.set(block.token, name);
    },
    async holds({ token }) {
      return manifest.has(token) ? "whole" : "none";
    },
    async rehearse(block) {
      check(block);
    },
    rows: (epoch) =>
      [...manifest.values()]
        .map((name) => objects.get(name) as Block)
        .filter((block) => (epoch ?? block.epoch) === block.epoch)
        .flatMap(rowsOf),
    orphans: () => objects.size - manifest.size,
  };
}

const rowsOf = ({ rows }: Block): Row<Signal>[] => SIGNALS.flatMap((signal): Row<Signal>[] => rows[signal]);

function check(block: Block): void {
  for (const { record } of rowsOf(block)) {
    const moment = parseTimestamp(record.timestamp);
    if (!moment.ok) throw new StorageError(moment.error.message, { code: "storage_rejected" });
  }
}
