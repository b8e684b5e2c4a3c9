// Stands in the place of functions/acceptance.ts in the chaos bundle: the same count of what the edge accepts, which
// counts nothing where that is asked for.
import { Acceptance as DeployedAcceptance } from "../../../functions/acceptance.ts";
import { mutationOf } from "./hooks.ts";

export * from "../../../functions/acceptance.ts";

export class Acceptance extends DeployedAcceptance {
  readonly #isCounting: boolean;

  constructor(...args: ConstructorParameters<typeof DeployedAcceptance>) {
    super(...args);
    this.#isCounting = mutationOf(args[0]) !== "edge-counter";
  }

  override note(...[counts]: Parameters<DeployedAcceptance["note"]>): void {
    super.note(this.#isCounting ? counts : { ...counts, accepted: 0, unconfirmed: 0 });
  }
}
