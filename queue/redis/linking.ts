// Linking mailboxes in Redis: one hash each and a sorted set of them all, in the shard of the store. Always true: each verb
// is one script, by the store's clock; nothing waits for replicas, since nothing need last.
import { LINKING_MAILBOX_MS } from "@lethe/protocol";
import {
  type LinkingGet,
  type LinkingMailboxes,
  type LinkingMailboxId,
  type LinkingPut,
  type LinkingSlot,
  MAX_LINKING_MAILBOXES,
  slotBefore,
} from "../linking.ts";
import { closedError } from "./failures.ts";
import { storeKey } from "./keys.ts";
import { nowArg, type RedisParts } from "./parts.ts";

const PUTS: ReadonlySet<string> = new Set(["kept", "taken", "early", "ended", "full"]);

export class RedisLinkingMailboxes implements LinkingMailboxes {
  readonly #parts: RedisParts;
  #closed = false;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  async put(mailbox: LinkingMailboxId, slot: LinkingSlot, message: Uint8Array): Promise<LinkingPut> {
    const bytes = Buffer.from(mailbox, "latin1");
    const args = [bytes, slot, slotBefore(slot) ?? "", Buffer.from(message)];
    const caps = [LINKING_MAILBOX_MS, MAX_LINKING_MAILBOXES];
    const answer = String(await this.#run("put-linking", mailbox, [...args, ...caps]));
    if (!PUTS.has(answer)) throw new Error("the script put-linking answered what it never answers");
    return answer as LinkingPut;
  }

  async get(mailbox: LinkingMailboxId, slot: LinkingSlot): Promise<LinkingGet> {
    const answer = await this.#run("get-linking", mailbox, [slot]);
    if (Array.isArray(answer)) return { is: "message", message: answer[0] as Buffer };
    const is = String(answer);
    return { is: is === "empty" || is === "ended" ? is : "none" };
  }

  async end(mailbox: LinkingMailboxId): Promise<void> {
    await this.#run("end-linking", mailbox, []);
  }

  close(): void {
    this.#closed = true;
  }

  #run(
    script: string,
    mailbox: LinkingMailboxId,
    args: readonly (Buffer | string | number)[],
  ): Promise<unknown> {
    if (this.#closed) return Promise.reject(closedError());
    const keys = [storeKey("L", mailbox), storeKey("T")];
    return this.#parts.scripts.look(script, keys, [nowArg(this.#parts), ...args]);
  }
}
