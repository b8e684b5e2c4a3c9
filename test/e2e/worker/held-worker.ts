// The deployed worker, but for one thing: its consumer calls HOLD_URL at each step of its loop and goes on when it is
// answered. A test that does not answer has the worker standing there, to be killed.
import { PartitionConsumer as DeployedConsumer } from "../../../functions/objects/partition-consumer.ts";
import type { DrainStep } from "../../../lib/stream/run.ts";

export { default } from "../../../functions/worker.ts";

export class PartitionConsumer extends DeployedConsumer {
  protected override async reached(step: DrainStep): Promise<void> {
    await super.reached(step);
    const { HOLD_URL: url } = this.env as unknown as { HOLD_URL: string };
    await (await fetch(`${url}/${step}`)).text();
  }
}
