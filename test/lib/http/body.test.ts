import { deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readBody } from "../../../lib/http/body.ts";
import { MAX_BODY_BYTES, MAX_DECODED_BYTES } from "../../../lib/telemetry/limits.ts";

const MIB = 1 << 20;
const INTAKE = "https://weir.example/api/v1/logs";

function send(body: NonNullable<RequestInit["body"]> | null, headers: Record<string, string> = {}) {
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    headers,
    duplex: "half",
    body,
  };
  return readBody(new Request(INTAKE, init));
}

async function outcome(...request: Parameters<typeof send>): Promise<string> {
  const body = await send(...request);
  if (!body.ok) return body.error.reason;
  // A large body is told by its size: a failing test must not print it.
  return body.value.length > 1_000 ? `${body.value.length} bytes` : new TextDecoder().decode(body.value);
}

/** A stream of 64 KiB chunks that counts what was pulled of it and whether it was cancelled. */
function countingStream(totalBytes: number) {
  const counts = { pulledBytes: 0, isCancelled: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (counts.pulledBytes >= totalBytes) return controller.close();
        counts.pulledBytes += 65_536;
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel() {
        counts.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, counts };
}

describe("a body as sent", () => {
  it("comes whole, in one chunk or many", async () => {
    expect(await outcome("hello")).toBe("hello");
    expect(await outcome(null)).toBe("");
    const chunks = ["a", "é", ""].map((text) => new TextEncoder().encode(text));
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    expect(await outcome(stream)).toBe("aé");
  });

  it("may have 5 MiB and no byte more", async () => {
    expect(await send(new Uint8Array(MAX_BODY_BYTES))).toMatchObject({ ok: true });
    expect(await outcome(new Uint8Array(MAX_BODY_BYTES + 1))).toBe("body_too_large");
  });

  it("is let go as soon as it is over the limit", async () => {
    const { stream, counts } = countingStream(500 * MIB);
    expect(await outcome(stream)).toBe("body_too_large");
    expect(counts.pulledBytes).toBeLessThanOrEqual(MAX_BODY_BYTES + 2 * 65_536);
    expect(counts.isCancelled).toBe(true);
  });

  it("is not read at all when it says that it is too long", async () => {
    const { stream, counts } = countingStream(6 * MIB);
    expect(await outcome(stream, { "content-length": String(6 * MIB) })).toBe("body_too_large");
    expect(counts.pulledBytes).toBe(0);
  });

  it.each(["10", "0", "-5", "x", ""])("is counted, whatever its length says (%j)", async (length) => {
    const { stream } = countingStream(6 * MIB);
    expect(await outcome(stream, { "content-length": length })).toBe("body_too_large");
    expect(await outcome("hello", { "content-length": length })).toBe("hello");
  });

  it("that breaks off is refused, not thrown", async () => {
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("connection reset"));
      },
    });
    expect(await outcome(stream)).toBe("malformed_encoding");
  });
});

describe("a compressed body", () => {
  const text = '{"message":"héllo"}';

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    [" GZIP ", gzipSync],
    ["deflate", deflateSync],
    ["identity", (bytes) => bytes],
    ["", (bytes) => bytes],
  ])("%j is read", async (encoding, compress) => {
    expect(await outcome(compress(Buffer.from(text)), { "content-encoding": encoding })).toBe(text);
  });

  it.each(["br", "zstd", "gzip, gzip", "compress", "constructor", "__proto__", "hasownproperty"])(
    "%s is refused",
    async (encoding) => {
      // Regression: "constructor" was found on the table's prototype, and the answer was 500.
      expect(await outcome(text, { "content-encoding": encoding })).toBe("unsupported_encoding");
    },
  );

  it.each<[string, string, Uint8Array]>([
    ["cut short", "gzip", gzipSync(Buffer.from(text.repeat(100))).subarray(0, 40)],
    ["without its checksum", "gzip", gzipSync(Buffer.from(text)).subarray(0, -8)],
    ["with a wrong checksum", "gzip", withWrongChecksum(gzipSync(Buffer.from(text)))],
    ["empty", "gzip", new Uint8Array()],
    ["not compressed", "gzip", Buffer.from(text)],
    ["of another encoding", "deflate", gzipSync(Buffer.from(text))],
    ["of another encoding", "gzip", deflateSync(Buffer.from(text))],
  ])("%s (%s) is refused", async (_, encoding, bytes) => {
    expect(await outcome(bytes, { "content-encoding": encoding })).toBe("malformed_encoding");
  });

  it("may unpack to 10 MiB and no byte more", async () => {
    for (const [encoding, compress] of [
      ["gzip", gzipSync],
      ["deflate", deflateSync],
    ] as const) {
      const exact = await send(compress(Buffer.alloc(MAX_DECODED_BYTES)), { "content-encoding": encoding });
      expect(exact.ok && exact.value.length).toBe(MAX_DECODED_BYTES);
      expect(
        await outcome(compress(Buffer.alloc(MAX_DECODED_BYTES + 1)), { "content-encoding": encoding }),
      ).toBe("body_too_large");
    }
  });

  it("that is a bomb stops at the limit, in time and memory", async () => {
    // 1 GiB: gzip members may be joined (RFC 1952, 2.2), so a bomb need not be packed in one piece.
    const bomb = Buffer.concat(Array(64).fill(gzipSync(Buffer.alloc(16 * MIB))));
    expect(bomb.length).toBeLessThan(2 * MIB);
    const peakBefore = process.resourceUsage().maxRSS;
    const startedMs = performance.now();
    expect(await outcome(bomb, { "content-encoding": "gzip" })).toBe("body_too_large");
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect((process.resourceUsage().maxRSS - peakBefore) / 1024).toBeLessThan(64);
  });

  it("is counted as sent before it is unpacked", async () => {
    expect(await outcome(countingStream(6 * MIB).stream, { "content-encoding": "gzip" })).toBe(
      "body_too_large",
    );
  });
});

function withWrongChecksum(gzip: Uint8Array): Uint8Array {
  return gzip.map((byte, i) => (i >= gzip.length - 8 ? byte ^ 0xff : byte));
}
