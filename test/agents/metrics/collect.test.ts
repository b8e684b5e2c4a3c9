import { describe, expect, it } from "vitest";
import { type Collector, createCollector, realDisks } from "../../../agents/metrics/collect.ts";
import { systemClock } from "../../../agents/metrics/clock.ts";
import { createLog } from "../../../agents/metrics/log.ts";
import { type Disk, type Machine, thisMachine } from "../../../agents/metrics/machine.ts";
import { faultOf } from "./intake-stand-in.ts";
import { ManualClock } from "./manual-clock.ts";

const labels = { service: "host", host: "web-1" };

const steady: Machine = {
  cpu: async () => ({ usedPercent: 12.3456, corePercents: [10, Number.NaN], load1m: 0.5 }),
  memory: async () => ({ totalBytes: 1_000, availableBytes: 250 }),
  disks: async () => [],
  network: async () => [],
};

function collectorOf(machine: Partial<Machine>) {
  const clock = new ManualClock();
  let output = "";
  const log = createLog("weir_a_b", (text) => (output += text));
  const collector = createCollector({ machine: { ...steady, ...machine }, clock, log, labels });
  return { clock, collector, output: () => output };
}

async function figures(collector: Collector): Promise<Record<string, number>> {
  const metrics = await collector.sample();
  return Object.fromEntries(
    metrics.map(({ name, value, labels: { core, mount, interface: nic } }) => [
      [name, core ?? mount ?? nic].filter(Boolean).join(":"),
      value,
    ]),
  );
}

const disk = (mount: string, device: string, type = "ext4"): Disk => ({
  device,
  type,
  mount,
  usedBytes: 1,
  usedPercent: 1,
});

describe("a sample", () => {
  it("names the figures as documented and leaves out what is not finite", async () => {
    expect(await figures(collectorOf({}).collector)).toEqual({
      cpu_usage_percent: 12.35,
      cpu_load_1m: 0.5,
      "cpu_core_usage_percent:0": 10,
      memory_usage_percent: 75,
      memory_used_bytes: 750,
      memory_total_bytes: 1_000,
    });
  });

  it("turns counters into rates from the second reading on, and skips a counter that went back", async () => {
    const readings = [
      [0, 0],
      [5_000, 1_000],
      [7_000, 100],
      [9_000, 200],
    ];
    const { clock, collector } = collectorOf({
      network: async () => {
        const [receivedBytes = 0, transmittedBytes = 0] = readings.shift() ?? [];
        return [{ name: "eth0", receivedBytes, transmittedBytes }];
      },
    });
    await collector.prime();
    clock.advance(2_000);
    expect(await figures(collector)).toMatchObject({
      "network_receive_bytes_per_second:eth0": 2_500,
      "network_transmit_bytes_per_second:eth0": 500,
    });
    clock.advance(1_000);
    expect(await figures(collector)).not.toHaveProperty("network_receive_bytes_per_second:eth0");
    clock.advance(1_000);
    expect(await figures(collector)).toHaveProperty("network_transmit_bytes_per_second:eth0", 100);
  });

  it("leaves a container's cables out", async () => {
    let bytes = 0;
    const { clock, collector } = collectorOf({
      network: async () => {
        bytes += 100;
        return ["eth0", "veth12ab", "docker0", "lo"].map((name) => ({
          name,
          receivedBytes: bytes,
          transmittedBytes: bytes,
        }));
      },
    });
    await collector.prime();
    clock.advance(1_000);
    const names = Object.keys(await figures(collector)).filter((name) => name.startsWith("network_receive"));
    expect(names).toEqual(["network_receive_bytes_per_second:eth0"]);
  });

  it("goes out without a source that fails or hangs, which is said once and not asked twice", async () => {
    let asked = 0;
    const { clock, collector, output } = collectorOf({
      memory: () => Promise.reject(new Error("no /proc")),
      disks: () => {
        asked += 1;
        return new Promise(() => {});
      },
    });
    for (let round = 0; round < 2; round += 1) {
      const sample = figures(collector);
      if (round === 0) await clock.untilSleeping(3_000);
      clock.advance(3_000);
      expect(await sample).toHaveProperty("cpu_usage_percent");
    }
    expect(asked).toBe(1);
    expect(output().match(/no disk figures/g)).toHaveLength(1);
    expect(output().match(/no memory figures/g)).toHaveLength(1);
  });
});

describe("disks", () => {
  it("are real ones, each once", () => {
    const mounts = realDisks([
      disk("/etc/hosts", "/dev/sda1"),
      disk("/", "/dev/sda1"),
      disk("/data", "/dev/sdb1", "xfs"),
      disk("/dev/shm", "tmpfs", "tmpfs"),
      disk("/run/user/0", "tmpfs", "tmpfs"),
      disk("/snap/core/1", "/dev/loop1", "squashfs"),
      disk("/var/lib/docker/overlay2/x/merged", "overlay", "overlay"),
      disk("/System/Volumes/VM", "/dev/disk3s6", "APFS"),
      disk("/System/Volumes/Data", "/dev/disk3s5", "APFS"),
    ]).map(({ mount }) => mount);
    expect(mounts).toEqual(["/", "/data", "/System/Volumes/Data"]);
  });

  it("count a container's overlay root as the disk it is", () => {
    expect(realDisks([disk("/", "overlay", "overlay")])).toHaveLength(1);
  });
});

describe("this machine", () => {
  it("gives a sample that the contract takes, read twice as at the start", async () => {
    const log = createLog("weir_a_b", () => {});
    const collector = createCollector({ machine: thisMachine, clock: systemClock, log, labels });
    await collector.prime();

    const metrics = await collector.sample();
    const body = JSON.stringify({ metrics });
    expect(
      faultOf({ path: "/api/v1/metrics", authorization: "Bearer k", idempotencyKey: "i", body }),
    ).toBeUndefined();
    const names = new Set(metrics.map(({ name }) => name));
    for (const name of [
      "cpu_usage_percent",
      "memory_usage_percent",
      "memory_used_bytes",
      "memory_total_bytes",
    ]) {
      expect(names).toContain(name);
    }
    for (const metric of metrics) expect(metric.labels).toMatchObject(labels);
    const percents = metrics.filter(({ name }) => name.endsWith("_percent")).map(({ value }) => value);
    expect(Math.min(...percents)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...percents)).toBeLessThanOrEqual(100);
  });
});
