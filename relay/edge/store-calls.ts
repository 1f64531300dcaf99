// Carries the machines' store calls out: everything that one turn asked goes in one batch a verb. Always true: each
// call gets exactly one result; a verb that rejects is a failure of every call of its batch.
import type { NodeId } from "@lethe/queue";
import { type Mailbox, StoreClosedError } from "@lethe/queue";
import type { StoreCall, StoreResult, Verb } from "../delivery/types.ts";

type Arg<V extends Verb> = Extract<StoreCall, { verb: V }>["arg"];
type Batches = { [V in Verb]: { calls: number[]; args: Arg<V>[] } };

const FAILED: StoreResult = { is: "failed", code: "storage-failed" };

export interface StoreCallsPort {
  result(call: number, result: StoreResult): void;
  /** A batch came back: the effects of its results may be flushed. */
  turn(): void;
  fault(error: unknown): void;
}

function empty(): Batches {
  const none = <V extends Verb>(): Batches[V] => ({ calls: [], args: [] }) as unknown as Batches[V];
  return {
    lookUp: none<"lookUp">(),
    claim: none<"claim">(),
    appendUnlessOwned: none<"appendUnlessOwned">(),
    appendAsOwner: none<"appendAsOwner">(),
    appendAndRelease: none<"appendAndRelease">(),
    read: none<"read">(),
    remove: none<"remove">(),
    look: none<"look">(),
    wake: none<"wake">(),
  };
}

export class StoreCalls {
  readonly #mailbox: Mailbox;
  readonly #port: StoreCallsPort;
  #batches = empty();
  #waiting = 0;

  constructor(mailbox: Mailbox, port: StoreCallsPort) {
    this.#mailbox = mailbox;
    this.#port = port;
  }

  add(call: number, on: StoreCall): void {
    const batch = this.#batches[on.verb] as { calls: number[]; args: unknown[] };
    batch.calls.push(call);
    batch.args.push(on.arg);
    this.#waiting++;
  }

  /** Sends off what was gathered. The verbs are begun in an order that keeps a mailbox's own: appends before releases before reads. */
  flush(): void {
    if (this.#waiting === 0) return;
    this.#waiting = 0;
    const b = this.#batches;
    this.#batches = empty();
    const mailbox = this.#mailbox;
    this.#run(b.remove.calls, () => mailbox.remove(b.remove.args));
    this.#run(b.claim.calls, () => mailbox.claim(b.claim.args));
    this.#run(b.appendAsOwner.calls, () => mailbox.appendAsOwner(b.appendAsOwner.args));
    this.#run(b.appendAndRelease.calls, () => mailbox.appendAndRelease(b.appendAndRelease.args));
    this.#run(b.appendUnlessOwned.calls, () => mailbox.appendUnlessOwned(b.appendUnlessOwned.args));
    this.#run(b.wake.calls, () => this.#wake(b.wake.args));
    this.#run(b.lookUp.calls, () => mailbox.lookUp(b.lookUp.args));
    this.#run(b.read.calls, () => mailbox.read(b.read.args));
    this.#run(b.look.calls, () => mailbox.look(b.look.args));
  }

  async #wake(args: readonly Arg<"wake">[]): Promise<StoreResult[]> {
    const byNode = new Map<NodeId, Arg<"wake">["address"][]>();
    for (const { node, address } of args) {
      const addresses = byNode.get(node);
      if (addresses === undefined) byNode.set(node, [address]);
      else addresses.push(address);
    }
    for (const [node, addresses] of byNode) await this.#mailbox.wake(node, addresses);
    return args.map(() => ({ is: "done" }));
  }

  #run(calls: number[], verb: () => Promise<readonly StoreResult[]>): void {
    if (calls.length === 0) return;
    verb().then(
      (results) => this.#done(calls, results),
      (error: unknown) => {
        if (!(error instanceof StoreClosedError)) this.#port.fault(error);
        this.#done(
          calls,
          calls.map(() => FAILED),
        );
      },
    );
  }

  #done(calls: number[], results: readonly StoreResult[]): void {
    for (let i = 0; i < calls.length; i++) this.#port.result(calls[i] as number, results[i] ?? FAILED);
    this.#port.turn();
  }
}
