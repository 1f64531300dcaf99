// Claims: judged at once, made durable in one batch with whatever else waits, and only then in effect. Always true: the
// owner on record changes in the order of claims; a claim that failed leaves no trace, so that its repeat is not behind.
import { judgeClaim, sameOwner } from "../local/owners.ts";
import type { Claim, ClaimResult, NoDevice, StoreFailure } from "../mailbox.ts";
import type { Box, Boxes } from "./boxes.ts";
import { failureOf } from "./failures.ts";
import type { Ledger } from "./ledger.ts";

const NO_DEVICE: NoDevice = { is: "no-device" };

interface Begun {
  readonly box: Box;
  readonly claim: Claim;
  readonly settle: (result: ClaimResult) => void;
}

export class Claims {
  readonly #boxes: Boxes;
  readonly #ledger: Ledger;

  constructor(boxes: Boxes, ledger: Ledger) {
    this.#boxes = boxes;
    this.#ledger = ledger;
  }

  claim(batch: readonly Claim[]): Promise<ClaimResult[]> {
    const begun: Begun[] = [];
    const results = batch.map((claim) => this.#judge(claim, begun));
    if (begun.length > 0) void this.#record(begun);
    return Promise.all(results);
  }

  async #judge(claim: Claim, begun: Begun[]): Promise<ClaimResult> {
    const box = this.#boxes.of(claim.address);
    if (box === undefined) return NO_DEVICE;
    const { claiming } = box;
    if (claiming !== undefined && claiming.epoch === claim.epoch && sameOwner(claiming.owner, claim.owner)) {
      return claiming.done;
    }
    const judged = judgeClaim({ owner: box.owner, epoch: Math.max(box.epoch, claiming?.epoch ?? 0) }, claim);
    if (judged !== undefined) {
      this.#boxes.dropIfBlank(box);
      return judged;
    }
    const done = new Promise<ClaimResult>((resolve) => begun.push({ box, claim, settle: resolve }));
    box.claiming = { owner: claim.owner, epoch: claim.epoch, done };
    return done;
  }

  async #record(begun: readonly Begun[]): Promise<void> {
    const recorded = await this.#ledger.claim(begun.map(({ claim }) => claim)).catch(failureOf);
    for (const [i, { box, claim, settle }] of begun.entries()) {
      const isDevice = "is" in recorded ? recorded : recorded[i] === true;
      const result = this.#take(box, claim, isDevice);
      if (box.claiming?.epoch === claim.epoch) box.claiming = undefined;
      this.#boxes.dropIfBlank(box);
      settle(result);
    }
  }

  #take(box: Box, claim: Claim, isDevice: boolean | StoreFailure): ClaimResult {
    if (typeof isDevice !== "boolean") return isDevice;
    if (!isDevice || box.isRetired) return NO_DEVICE;
    const previous = sameOwner(box.owner, claim.owner) ? undefined : box.owner;
    box.owner = claim.owner;
    box.epoch = claim.epoch;
    return { is: "claimed", previous };
  }
}
