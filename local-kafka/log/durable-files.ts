/**
 * The few file operations whose failure decides what may be acknowledged, behind a seam so that tests can make a disk
 * fail. Whole-file writes are atomic: a reader sees the old content or the new, also after a power cut.
 */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** An open segment. `write` writes all the buffers, in order, from `position` on. */
export interface SegmentFile {
  write(buffers: Buffer[], position: number): Promise<void>;
  read(buffer: Buffer, length: number, position: number): Promise<number>;
  truncate(bytes: number): Promise<void>;
  sync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface DurableFiles {
  /** Opens for reading and writing; makes the file, and its directory entry durable, when it is new. */
  openSegment(path: string): Promise<SegmentFile>;
  openForRead(path: string): Promise<SegmentFile>;
  writeWhole(path: string, content: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}

/** The real disk. `fsync: false` skips every flush, for tests that say so. */
export function diskFiles(fsync: boolean): DurableFiles {
  const openFile = async (path: string, flags: string | number): Promise<SegmentFile> => {
    const handle = await open(path, flags);
    return {
      async write(buffers, position) {
        // writev may write less than asked for; go on from there.
        const total = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
        let { bytesWritten } = await handle.writev(buffers, position);
        while (bytesWritten < total) {
          const rest = Buffer.concat(buffers).subarray(bytesWritten);
          bytesWritten += (await handle.write(rest, 0, rest.byteLength, position + bytesWritten))
            .bytesWritten;
        }
      },
      async read(buffer, length, position) {
        let done = 0;
        while (done < length) {
          const { bytesRead } = await handle.read(buffer, done, length - done, position + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return done;
      },
      truncate: (bytes) => handle.truncate(bytes),
      sync: () => (fsync ? handle.datasync() : Promise.resolve()),
      size: async () => (await handle.stat()).size,
      close: () => handle.close(),
    };
  };

  const syncDirectory = async (path: string): Promise<void> => {
    // Windows refuses to open a directory, and needs no flush for a new entry.
    if (!fsync || process.platform === "win32") return;
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  };

  return {
    syncDirectory,
    openForRead: (path) => openFile(path, "r"),
    async openSegment(path) {
      try {
        return await openFile(path, "r+");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
      const file = await openFile(path, "wx+");
      await syncDirectory(dirname(path));
      return file;
    },
    async writeWhole(path, content) {
      const temporary = `${path}.${randomUUID()}.tmp`;
      try {
        const handle = await open(temporary, "wx");
        try {
          await handle.writeFile(content);
          if (fsync) await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncDirectory(dirname(path));
    },
  };
}
