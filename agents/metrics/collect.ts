// Figures of the machine → metrics of the public API. Sends only finite numbers; what a platform does not give,
// or gives too late, is left out of the sample and never holds up the rest.
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Disk, Machine, NetworkCounters } from "./machine.ts";

export interface Metric {
  name: string;
  value: number;
  labels: Record<string, string>;
  /** ISO 8601 UTC, milliseconds. */
  timestamp: string;
}

export interface Collector {
  /** Starts the counters from which the first sample's rates are taken. */
  prime(): Promise<void>;
  sample(): Promise<Metric[]>;
}

/** A dead network mount makes `df` hang; the other figures must not wait for it. */
const sourceTimeoutMs = 3_000;

const virtualTypes =
  /^(tmpfs|devtmpfs|ramfs|squashfs|autofs|devfs|nullfs|efivarfs|iso9660|fuse\..*(portal|snap|lxcfs).*)$/;
const virtualMounts =
  /^\/(proc|sys|dev|run|snap|var\/lib\/(docker|containers|kubelet))(\/|$)|^\/System\/Volumes\/(?!Data$)/;
/** One end of a container's cable: comes and goes with the container, its traffic is counted on the real interface. */
const virtualInterfaces = /^(lo\d*$|veth|cali|docker\d|br-|virbr)/;

/** Real disks, each once: bind mounts show one device many times, and its shortest mount is the one people know. */
export function realDisks(disks: readonly Disk[]): Disk[] {
  const seen = new Set<string>();
  return (
    disks
      .filter(({ type, mount }) => !virtualTypes.test(type) && !virtualMounts.test(mount))
      // In a container the root is an overlay: there it is the disk; elsewhere an overlay is a container's copy of one.
      .filter(({ type, mount }) => type !== "overlay" || mount === "/")
      .toSorted((a, b) => a.mount.length - b.mount.length)
      .filter(({ device }) => {
        if (seen.has(device)) return false;
        if (device.startsWith("/dev/")) seen.add(device);
        return true;
      })
  );
}

/** Two decimals: more is noise, and it doubles the size of a batch. */
const round = (value: number): number => Math.round(value * 100) / 100;

export function createCollector(context: {
  machine: Machine;
  clock: Clock;
  log: Log;
  labels: { service: string; host: string };
}): Collector {
  const { machine, clock, log, labels } = context;
  const pending = new Set<string>();
  let previous: { atMs: number; counters: Map<string, NetworkCounters> } | undefined;

  /** The source's answer, or undefined; a source that still hangs is not asked a second time. */
  async function ask<T>(source: string, read: () => Promise<T>): Promise<T | undefined> {
    if (pending.has(source)) return undefined;
    pending.add(source);
    const answered = new AbortController();
    const answer = read()
      .catch(() => undefined)
      .finally(() => {
        pending.delete(source);
        answered.abort();
      });
    const first = await Promise.race([
      answer,
      clock.sleep(sourceTimeoutMs, answered.signal).then(() => undefined),
    ]);
    // When the answer and the timer's wake-up fall together, the answer counts.
    const value = answered.signal.aborted ? await answer : first;
    if (value === undefined)
      log.sayOnce(`source:${source}`, `this machine gave no ${source} figures; the rest is sent`);
    return value;
  }

  async function rates(): Promise<Array<[name: string, value: number, labels: Record<string, string>]>> {
    const counters = await ask("network", machine.network);
    if (!counters) return [];
    const atMs = clock.now();
    const before = previous;
    previous = { atMs, counters: new Map(counters.map((counter) => [counter.name, counter])) };
    const seconds = before ? (atMs - before.atMs) / 1000 : 0;
    if (!before || seconds <= 0) return [];
    return counters
      .filter(({ name }) => !virtualInterfaces.test(name))
      .flatMap((now) => {
        const then = before.counters.get(now.name);
        if (!then) return [];
        const received = now.receivedBytes - then.receivedBytes;
        const transmitted = now.transmittedBytes - then.transmittedBytes;
        // A counter that went back was started anew; its rate is not known.
        if (received < 0 || transmitted < 0) return [];
        return [
          ["network_receive_bytes_per_second", received / seconds, { interface: now.name }],
          ["network_transmit_bytes_per_second", transmitted / seconds, { interface: now.name }],
        ];
      });
  }

  return {
    async prime() {
      await Promise.all([ask("CPU", machine.cpu), rates()]);
    },

    async sample() {
      const [cpu, memory, disks, network] = await Promise.all([
        ask("CPU", machine.cpu),
        ask("memory", machine.memory),
        ask("disk", machine.disks),
        rates(),
      ]);
      const timestamp = new Date(clock.now()).toISOString();
      const metrics: Metric[] = [];
      const add = (name: string, value: number | undefined, more: Record<string, string> = {}): void => {
        if (value === undefined || !Number.isFinite(value)) return;
        metrics.push({ name, value: round(value), labels: { ...labels, ...more }, timestamp });
      };

      add("cpu_usage_percent", cpu?.usedPercent);
      add("cpu_load_1m", cpu?.load1m);
      cpu?.corePercents.forEach((percent, core) =>
        add("cpu_core_usage_percent", percent, { core: String(core) }),
      );
      if (memory && memory.totalBytes > 0) {
        // "Used" is what a program could not get: the page cache is given back on demand.
        const usedBytes = memory.totalBytes - memory.availableBytes;
        add("memory_usage_percent", (usedBytes / memory.totalBytes) * 100);
        add("memory_used_bytes", usedBytes);
        add("memory_total_bytes", memory.totalBytes);
      }
      for (const disk of realDisks(disks ?? [])) {
        add("disk_usage_percent", disk.usedPercent, { mount: disk.mount });
        add("disk_used_bytes", disk.usedBytes, { mount: disk.mount });
      }
      for (const [name, value, more] of network) add(name, value, more);
      return metrics;
    },
  };
}
