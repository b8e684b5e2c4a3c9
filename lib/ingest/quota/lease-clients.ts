// The lease clients of one isolate, one for each bucket that it has met, the longest unused forgotten first. One that
// is forgotten loses its lease, which expires unused: no harm but a call.
import { LeaseClient } from "./lease-client.ts";
import { isSameLimits, type QuotaLimits } from "./limits.ts";

const MAX_CLIENTS = 2_000;

export class LeaseClients {
  readonly #clients = new Map<string, LeaseClient>();

  /** Other limits than last time (an operator changed them) begin a new client. */
  of(tenant: string, bucket: string, limits: QuotaLimits | null, nowMs: number): LeaseClient {
    const name = `${tenant}/${bucket}`;
    const known = this.#clients.get(name);
    this.#clients.delete(name);
    const isCurrent = known && isSameLimits(known.limits, limits);
    const client = isCurrent ? known : new LeaseClient(bucket, limits, nowMs);
    this.#clients.set(name, client);
    if (this.#clients.size > MAX_CLIENTS) {
      for (const oldest of this.#clients.keys()) {
        this.#clients.delete(oldest);
        break;
      }
    }
    return client;
  }
}
