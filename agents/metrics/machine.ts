// What this machine says about itself, by systeminformation. One small interface, so that the collector can be
// tested with figures no real machine shows on demand. It reads only; it decides nothing about what is sent.
import { loadavg, networkInterfaces, platform } from "node:os";
import { currentLoad, fsSize, mem, networkStats } from "systeminformation";

export interface Disk {
  device: string;
  type: string;
  mount: string;
  usedBytes: number;
  usedPercent: number;
}

export interface NetworkCounters {
  name: string;
  receivedBytes: number;
  transmittedBytes: number;
}

export interface Machine {
  /** Percent since the previous call, all cores and each. */
  cpu: () => Promise<{ usedPercent: number; corePercents: number[]; load1m: number | undefined }>;
  memory: () => Promise<{ totalBytes: number; availableBytes: number }>;
  disks: () => Promise<Disk[]>;
  /** Ever-growing counters of every interface that is up and is not the loopback. */
  network: () => Promise<NetworkCounters[]>;
}

/** Names from node:os, whose `internal` tells the loopback everywhere; `networkStats("*")` starts a dozen processes. */
function outwardInterfaces(): string[] {
  return Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some(({ internal }) => !internal))
    .map(([name]) => name);
}

export const thisMachine: Machine = {
  async cpu() {
    const load = await currentLoad();
    return {
      usedPercent: load.currentLoad,
      corePercents: load.cpus.map((core) => core.load),
      // Windows has no load average; node answers 0 there, which would be a lie.
      load1m: platform() === "win32" ? undefined : loadavg()[0],
    };
  },
  async memory() {
    const { total, available } = await mem();
    return { totalBytes: total, availableBytes: available };
  },
  async disks() {
    const disks = await fsSize();
    return disks.map(({ fs, type, mount, used, use }) => ({
      device: fs,
      type,
      mount,
      usedBytes: used,
      usedPercent: use,
    }));
  },
  async network() {
    const names = outwardInterfaces();
    if (names.length === 0) return [];
    const stats = await networkStats(names.join(","));
    return stats.map(({ iface, rx_bytes, tx_bytes }) => ({
      name: iface,
      receivedBytes: rx_bytes,
      transmittedBytes: tx_bytes,
    }));
  },
};
