/** A disk that counts its flushes and fails on demand; otherwise it is the real one. */
import { type DurableFiles, type SegmentFile, diskFiles } from "../../local-kafka/log/durable-files.ts";

export class TestDisk implements DurableFiles {
  syncs = 0;
  /** Thrown by the next calls, while set. */
  failWrite: Error | undefined;
  failSync: Error | undefined;
  failTruncate: Error | undefined;
  /** Awaited before each sync. */
  beforeSync: (() => Promise<void>) | undefined;
  readonly #disk = diskFiles(true);

  async openSegment(path: string): Promise<SegmentFile> {
    return this.#watch(await this.#disk.openSegment(path));
  }

  openForRead(path: string): Promise<SegmentFile> {
    return this.#disk.openForRead(path);
  }

  async writeWhole(path: string, content: string): Promise<void> {
    if (this.failWrite) throw this.failWrite;
    await this.#disk.writeWhole(path, content);
  }

  syncDirectory(path: string): Promise<void> {
    return this.#disk.syncDirectory(path);
  }

  #watch(file: SegmentFile): SegmentFile {
    return {
      read: (buffer, length, position) => file.read(buffer, length, position),
      size: () => file.size(),
      close: () => file.close(),
      write: async (buffers, position) => {
        if (this.failWrite) {
          // A full disk takes what fits.
          await file.write([Buffer.concat(buffers).subarray(0, 20)], position);
          throw this.failWrite;
        }
        await file.write(buffers, position);
      },
      sync: async () => {
        this.syncs += 1;
        await this.beforeSync?.();
        if (this.failSync) throw this.failSync;
        await file.sync();
      },
      truncate: async (bytes) => {
        if (this.failTruncate) throw this.failTruncate;
        await file.truncate(bytes);
      },
    };
  }
}
