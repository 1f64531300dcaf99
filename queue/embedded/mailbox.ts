// The mailbox of the embedded backend: the verbs, over mail in memory, the segment log and the ledger.
// Always true: what decides is decided in memory, in one turn of the event loop; what is answered as done is durable.
import type { DeviceAddress, Time } from "@lethe/protocol";
import { minuteOf, sameOwner } from "../local/owners.ts";
import type { Wakes } from "../local/wakes.ts";
import {
  type AppendUnlessOwned,
  type AppendUnlessOwnedResult,
  type Claim,
  type ClaimResult,
  type Entry,
  type LookResult,
  type LookUpResult,
  type Mailbox,
  type MailboxStats,
  type NoDevice,
  type NodeId,
  type Owner,
  type OwnerAppend,
  type OwnerAppendResult,
  type Read,
  type ReadResult,
  type Remove,
  StoreClosedError,
} from "../mailbox.ts";
import { type AppendRule, Appends, type AppendsParts } from "./appends.ts";
import type { Box } from "./boxes.ts";
import { Claims } from "./claims.ts";
import type { Forgetting } from "./forget.ts";
import type { Ledger } from "./ledger.ts";
import type { Group } from "./group.ts";

export interface MailboxParts extends AppendsParts {
  readonly ledger: Ledger;
  readonly forgetting: Forgetting;
  readonly wakes: Wakes;
}

const NO_DEVICE: NoDevice = { is: "no-device" };
/** Entries that a sweep removes in one turn: a few milliseconds. */
const SWEEP_PIECE = 5_000;
const DONE = { is: "done" } as const;

export class EmbeddedMailbox implements Mailbox {
  readonly #parts: MailboxParts;
  readonly #appends: Appends;
  readonly #claims: Claims;
  readonly #unlessOwned: AppendRule<AppendUnlessOwned, AppendUnlessOwnedResult>;
  readonly #asOwner: AppendRule<OwnerAppend, OwnerAppendResult>;
  readonly #andRelease: AppendRule<OwnerAppend, OwnerAppendResult>;
  #state: "open" | "closing" = "open";
  #underWay = 0;
  #onIdle: (() => void) | undefined = undefined;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
    this.#appends = new Appends(parts);
    this.#claims = new Claims(parts.mail.boxes, parts.ledger);
    this.#unlessOwned = {
      refuse: ({ owner }, { suspect }) =>
        owner === undefined || sameOwner(owner, suspect) ? undefined : { is: "owned", owner },
      stored: ({ owner }, { suspect }, outcomes) => ({
        is: "stored",
        outcomes,
        wake: sameOwner(owner, suspect) ? owner : undefined,
      }),
    };
    this.#asOwner = { refuse: fence, stored: (_box, _item, outcomes) => ({ is: "stored", outcomes }) };
    this.#andRelease = {
      refuse: fence,
      stored: (box, item, outcomes) => {
        this.#release(box, item.owner);
        return { is: "stored", outcomes };
      },
    };
  }

  lookUp(addresses: readonly DeviceAddress[]): Promise<readonly (LookUpResult | NoDevice)[]> {
    return this.#during(() => addresses.map((address) => this.#lookUpOne(address)));
  }

  claim(batch: readonly Claim[]): Promise<readonly ClaimResult[]> {
    return this.#during(() => this.#claims.claim(batch));
  }

  appendUnlessOwned(batch: readonly AppendUnlessOwned[]): Promise<readonly AppendUnlessOwnedResult[]> {
    return this.#during(() => this.#appends.append(batch, this.#unlessOwned));
  }

  appendAsOwner(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]> {
    return this.#during(() => this.#appends.append(batch, this.#asOwner));
  }

  appendAndRelease(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]> {
    return this.#during(() => this.#appends.append(batch, this.#andRelease));
  }

  read(batch: readonly Read[]): Promise<readonly ReadResult[]> {
    return this.#during(() => this.#read(batch));
  }

  remove(batch: readonly Remove[]): Promise<readonly { readonly is: "done" }[]> {
    return this.#during(() => batch.map((item) => this.#removeOne(item)));
  }

  look(addresses: readonly DeviceAddress[]): Promise<readonly LookResult[]> {
    return this.#during(() => addresses.map((address) => this.#lookOne(address)));
  }

  wake(node: NodeId, addresses: readonly DeviceAddress[]): Promise<void> {
    return this.#during(() => this.#parts.wakes.add(node, addresses, this.#parts.now()));
  }

  async takeWakes(node: NodeId): Promise<readonly DeviceAddress[]> {
    if (this.#state !== "open") throw new StoreClosedError("the store is closed");
    return this.#parts.wakes.take(node);
  }

  retire(address: DeviceAddress): Promise<Owner | undefined> {
    return this.#during(() => this.#retire(address));
  }

  sweep(): Promise<number> {
    return this.#during(() => this.#sweep());
  }

  stats(): MailboxStats {
    const { mail, now } = this.#parts;
    const oldest = mail.segments.oldestBurial;
    return {
      ...mail.counts,
      oldest: mail.table.oldest(),
      forgetLag: oldest === undefined ? 0 : Math.max(0, now() - oldest),
    };
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#parts.wakes.close();
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#parts.ledger.flush();
    await this.#parts.forgetting.close();
    await this.#parts.log.close();
  }

  async #during<Result>(verb: () => Result | Promise<Result>): Promise<Result> {
    if (this.#state !== "open") throw new StoreClosedError("the store is closed");
    this.#underWay++;
    try {
      return await verb();
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#onIdle?.();
    }
  }

  #lookUpOne(address: DeviceAddress): LookUpResult | NoDevice {
    const { boxes } = this.#parts.mail;
    const box = boxes.known(address);
    if (box !== undefined) return { is: "found", owner: box.owner, lastSeen: box.lastSeen };
    return boxes.isRetired(address) ? NO_DEVICE : { is: "found", owner: undefined, lastSeen: 0 as Time };
  }

  #lookOne(address: DeviceAddress): LookResult {
    const { mail, now } = this.#parts;
    const box = mail.boxes.known(address);
    if (box !== undefined) {
      mail.sweepBox(box, now());
      mail.boxes.dropIfBlank(box);
      return { is: "seen", owner: box.owner, waiting: box.held };
    }
    return mail.boxes.isRetired(address) ? NO_DEVICE : { is: "seen", owner: undefined, waiting: 0 };
  }

  #removeOne({ address, entries }: Remove): typeof DONE {
    const { mail, now } = this.#parts;
    const box = mail.boxes.known(address);
    if (box === undefined) return DONE;
    for (const { position, id } of entries) {
      const slot = mail.find(box, position, id);
      if (slot >= 0) mail.remove(slot, now());
    }
    mail.boxes.dropIfBlank(box);
    return DONE;
  }

  #release(box: Box, owner: Owner): void {
    if (!sameOwner(box.owner, owner)) return;
    box.owner = undefined;
    box.lastSeen = minuteOf(this.#parts.now());
    this.#parts.ledger.noteSeen(box.address, box.lastSeen);
  }

  /** What is under way counts as there: a read that would find nothing waits for it, since nobody would wake for it. */
  async #read(batch: readonly Read[]): Promise<ReadResult[]> {
    const awaited = this.#awaited(batch);
    for (const group of awaited) await group.done;
    const { mail, reading, now } = this.#parts;
    const time = now();
    const boxes = batch.map(({ address }) => mail.boxes.known(address));
    const lists = batch.map((read, i) => {
      const box = boxes[i];
      return box === undefined ? [] : mail.page(box, read, time);
    });
    const owners = boxes.map((box) => box?.owner);
    const pages = await reading.pages(lists);
    const results: ReadResult[] = [];
    for (const [i, read] of batch.entries()) {
      results.push(await this.#page(read, pages[i], (lists[i]?.length ?? 0) > 0, owners[i]));
    }
    return results;
  }

  /** A page of which nothing was left when it had been read says nothing of what lies behind it: it is read again. */
  async #page(
    read: Read,
    entries: readonly Entry[] | undefined,
    wasFilled: boolean,
    owner: Owner | undefined,
  ): Promise<ReadResult> {
    if (entries === undefined) return { is: "failed", code: "storage-failed" };
    if (entries.length === 0 && wasFilled) return (await this.#read([read]))[0] as ReadResult;
    if (entries.length === 0 && this.#parts.mail.boxes.isRetired(read.address)) return NO_DEVICE;
    return { is: "page", entries, owner };
  }

  #awaited(batch: readonly Read[]): Set<Group> {
    const { mail, now } = this.#parts;
    const groups = new Set<Group>();
    for (const read of batch) {
      const box = mail.boxes.known(read.address);
      if (box?.pending !== undefined && mail.page(box, { ...read, maxEntries: 1 }, now()).length === 0) {
        groups.add(box.pending);
      }
    }
    return groups;
  }

  /** In pieces, so that much that expires together stops nobody for long. */
  async #sweep(): Promise<number> {
    const { mail, now } = this.#parts;
    let swept = 0;
    for (let piece = SWEEP_PIECE; piece === SWEEP_PIECE; ) {
      piece = mail.sweep(now(), SWEEP_PIECE);
      swept += piece;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return swept;
  }

  /** The tombstone first: from then on no restart brings the mailbox back. */
  async #retire(address: DeviceAddress): Promise<Owner | undefined> {
    const { mail, ledger, now } = this.#parts;
    await ledger.retire(address);
    const box = mail.boxes.retire(address);
    if (box === undefined) return undefined;
    const { owner } = box;
    box.owner = undefined;
    mail.empty(box, now());
    return owner;
  }
}

function fence(box: Box, { owner }: OwnerAppend): OwnerAppendResult | undefined {
  return sameOwner(box.owner, owner) ? undefined : { is: "fenced", owner: box.owner };
}
