// What `native` says of addresses where no Kafka is: each message names the setting to look at. And its codecs: what one
// side packs the other unpacks, and bytes that make no sense end in an error.
import * as fc from "fast-check";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Server } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { lz4Compress, lz4Decompress } from "../../../lib/kafka/native/lz4.ts";
import { createNative } from "../../../lib/kafka/native/native.ts";
import { decodeBatches, encodeBatch } from "../../../lib/kafka/native/record-batch.ts";
import { createCompressor } from "../../../lib/kafka/native/compression.ts";
import { snappyDecompress } from "../../../lib/kafka/native/snappy.ts";

const LIMIT = 1 << 20;

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function connect(...brokers: string[]) {
  const transport = createNative({ brokers, tls: false, compression: "none" });
  onTestFinished(() => transport.close());
  return transport;
}

describe("native where no Kafka is", () => {
  it("names the address that refuses", async () => {
    const server = createServer();
    const address = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    await expect(connect(address).topics()).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(new RegExp(`${address}.*KAFKA_BROKERS`)),
    });
    const outcomes = await connect(address).produce("any", [{ partition: 0, key: null, value: null }]);
    expect(outcomes).toMatchObject([{ ok: false, error: { code: "unreachable", retryable: true } }]);
  });

  it("names the host that is not in the DNS", async () => {
    await expect(connect("no-such-host.invalid:9092").topics()).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/no-such-host\.invalid:9092.*KAFKA_BROKERS/),
    });
  });

  it("knows an HTTP server", async () => {
    const address = await listen(createHttpServer((_, response) => response.end("hello")));
    await expect(connect(address).topics()).rejects.toMatchObject({
      code: "bad_answer",
      message: expect.stringMatching(/KAFKA_BROKERS.*REST/),
    });
  });

  it("ends a call to a port that takes connections and says nothing", async () => {
    const address = await listen(createServer((socket) => void socket.resume().on("error", () => undefined)));
    const began = performance.now();
    await expect(connect(address).topics()).rejects.toMatchObject({ code: "timeout", retryable: true });
    expect(performance.now() - began).toBeLessThan(6_000);
  });

  it("refuses a broker without a port", () => {
    expect(() => connect("kafka")).toThrow(expect.objectContaining({ code: "misconfigured" }));
  });
});

describe("codecs", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 9_000 }))
      .map(([piece, times]) => new Uint8Array(Buffer.concat(Array.from({ length: times }, () => piece)))),
  );

  it("lz4: unpacks what it packed", () => {
    fc.assert(
      fc.property(bytes, (source) => {
        expect(Buffer.compare(lz4Decompress(lz4Compress(source), LIMIT), source)).toBe(0);
      }),
    );
  });

  it("lz4 makes repetition small", () => {
    expect(lz4Compress(Buffer.alloc(100_000, "telemetry ")).length).toBeLessThan(2_000);
  });

  it("snappy: reads the Java client's stream of blocks", () => {
    // Two blocks: "abc" as a literal; "x" as a literal, then a copy of six from one back.
    const blocks = [Buffer.from([3, 0x08, 97, 98, 99]), Buffer.from([7, 0x00, 120, 0x09, 1])];
    const stream = blocks.flatMap((block) => [Buffer.from([0, 0, 0, block.length]), block]);
    const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    expect(snappyDecompress(Buffer.concat([header, ...stream]), LIMIT).toString()).toBe("abcxxxxxxx");
  });

  it("lz4 and snappy end in RangeError for bytes that make no sense, and never pass the limit", () => {
    const ends = (unpack: () => Buffer) => {
      try {
        expect(unpack().length).toBeLessThanOrEqual(1_000);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    };
    const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        ends(() => snappyDecompress(Buffer.from(noise), 1_000));
        ends(() => lz4Decompress(Buffer.concat([header, noise]), 1_000));
        const size = Buffer.alloc(4);
        size.writeUInt32LE(noise.length);
        ends(() => lz4Decompress(Buffer.concat([header, size, noise, Buffer.alloc(4)]), 1_000));
      }),
      { numRuns: 500 },
    );
    expect(() => lz4Decompress(lz4Compress(Buffer.alloc(5_000)), 1_000)).toThrow(RangeError);
  });
});

describe("record batches", () => {
  const id = { producerId: 7n, producerEpoch: 0, sequence: 0 };
  const record = (value: string) => ({ partition: 0, key: null, value: Buffer.from(value), timestampMs: 1 });
  const batch = (values: string[], baseOffset: number) => {
    const encoded = encodeBatch(values.map(record), id, createCompressor("none"), 1);
    encoded.writeBigInt64BE(BigInt(baseOffset), 0);
    return encoded;
  };
  const values = (
    bytes: Buffer,
    from: number,
    aborted: { producerId: bigint; firstOffset: number }[] = [],
  ) => {
    const { records, nextOffset } = decodeBatches(bytes, from, aborted);
    return { values: records.map(({ value }) => Buffer.from(value ?? []).toString()), nextOffset };
  };

  it("leaves out what is before the offset asked for, and a batch that is cut off", () => {
    const log = Buffer.concat([batch(["a", "b"], 0), batch(["c", "d"], 2), batch(["e"], 4).subarray(0, 65)]);
    expect(values(log, 1)).toEqual({ values: ["b", "c", "d"], nextOffset: 4 });
    expect(values(log, 3)).toEqual({ values: ["d"], nextOffset: 4 });
  });

  it("leaves out an aborted transaction and its marker, and steps over them", () => {
    const transactional = (encoded: Buffer) => {
      encoded.writeInt16BE(encoded.readInt16BE(21) | 0x10, 21);
      return encoded;
    };
    // The marker's key: version 0, type 0 (ABORT); its length and the record's in front.
    const marker = batch([""], 2).subarray(0, 61);
    marker.writeInt16BE(0x30, 21);
    const control = Buffer.concat([marker, Buffer.from([0x14, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0])]);
    control.writeInt32BE(control.length - 12, 8);
    const log = Buffer.concat([transactional(batch(["x", "y"], 0)), control]);
    expect(values(log, 0, [{ producerId: 7n, firstOffset: 0 }])).toEqual({ values: [], nextOffset: 3 });
    const after = batch(["z"], 3);
    expect(values(Buffer.concat([log, after]), 0, [{ producerId: 7n, firstOffset: 0 }])).toEqual({
      values: ["z"],
      nextOffset: 4,
    });
  });

  it("refuses a batch whose checksum is wrong", () => {
    const log = batch(["a"], 0);
    log[log.length - 2] = (log.at(-2) ?? 0) ^ 1;
    expect(() => values(log, 0)).toThrow(expect.objectContaining({ code: "bad_answer" }));
  });
});
