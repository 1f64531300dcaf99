// Whom a blob waits for: the release tokens of the devices that its message goes to. Always true: a device that has, or gets, the
// message has its token at the relay before the list is closed; one that its account's list does not name any more holds up nothing.
import {
  type AccountId,
  accountOf,
  base64url,
  type DeviceAddress,
  MAX_MEDIA_TOKENS,
  MAX_TOKENS_AT_ONCE,
  type Time,
} from "@lethe/protocol";
import { capabilityMark, releaseToken, Secret } from "@lethe/crypto";
import type { CoreView } from "../delivery/core.ts";
import type { Chance, MessageId, Write } from "../delivery/events.ts";
import { ClientError } from "../errors.ts";
import type { MediaHttp } from "./media-http.ts";
import type { Patience } from "./patience.ts";
import { putMedia, type TokensRow, tokensRow, type UploadRow } from "./rows.ts";

export interface TokensParts {
  readonly http: MediaHttp;
  readonly patience: Patience;
  readonly view: CoreView;
  readonly chance: Chance;
  readonly now: () => Time;
  readonly commit: (writes: readonly Write[]) => Promise<void>;
  readonly self: AccountId;
}

interface Change {
  readonly add: readonly DeviceAddress[];
  readonly strike: readonly DeviceAddress[];
}

export class Tokens {
  readonly #parts: TokensParts;
  readonly #message: MessageId;
  readonly #row: UploadRow;
  readonly #registered: Set<DeviceAddress>;
  readonly #carriers: Set<DeviceAddress>;

  constructor(parts: TokensParts, message: MessageId, row: UploadRow, known: TokensRow | undefined) {
    this.#parts = parts;
    this.#message = message;
    this.#row = row;
    this.#registered = new Set(known?.registered);
    this.#carriers = new Set(known?.carriers);
  }

  /**
   * Tells the relay what has changed since it was told last; with `close`, that it was the last time. @throws ClientError
   * media-too-many-devices, media-gone
   */
  async sync(close: boolean, signal: AbortSignal): Promise<void> {
    const seen = this.#seeCarriers();
    const { add, strike } = this.#change(close);
    if (this.#registered.size + add.length > MAX_MEDIA_TOKENS)
      throw new ClientError("media-too-many-devices");
    if (add.length === 0 && strike.length === 0 && !close) {
      if (seen) await this.#commit();
      return;
    }
    const pieces = Math.max(1, Math.ceil(Math.max(add.length, strike.length) / MAX_TOKENS_AT_ONCE));
    for (let piece = 0; piece < pieces; piece++) {
      const [from, to] = [piece * MAX_TOKENS_AT_ONCE, (piece + 1) * MAX_TOKENS_AT_ONCE];
      const last = piece === pieces - 1;
      await this.#tell({ add: add.slice(from, to), strike: strike.slice(from, to) }, close && last, signal);
    }
    for (const device of add) this.#registered.add(device);
    for (const device of strike) this.#registered.delete(device);
    await this.#commit();
  }

  async #tell({ add, strike }: Change, close: boolean, signal: AbortSignal): Promise<void> {
    const { http, patience } = this.#parts;
    const { id, uploadKey } = this.#row;
    const marks = { add: this.#marks(add), strike: this.#marks(strike), close };
    await patience.retrying(() => http.tokens(id, uploadKey, marks, signal), signal);
  }

  #commit(): Promise<void> {
    const row: TokensRow = {
      format: "one",
      registered: [...this.#registered],
      carriers: [...this.#carriers],
    };
    return this.#parts.commit([putMedia("media-tokens", this.#message, tokensRow, row)]);
  }

  /** Whether the message was sealed for others than before. */
  #seeCarriers(): boolean {
    const before = this.#carriers.size;
    for (const device of this.#parts.view.carriers(this.#message))
      if (this.#carriers.size < MAX_MEDIA_TOKENS) this.#carriers.add(device);
    return this.#carriers.size > before;
  }

  /** One's own account is always among them; this very device never is. */
  #accounts(): AccountId[] {
    const { to, group } = this.#row;
    const members = group === undefined ? [] : (this.#parts.view.group(group)?.view.state.members ?? []);
    const named = members.map(({ account }) => account);
    return [...new Set([this.#parts.self, ...named, ...(to === undefined ? [] : [to])])];
  }

  #change(close: boolean): Change {
    const { view, now } = this.#parts;
    const [add, strike] = [new Set<DeviceAddress>(), new Set<DeviceAddress>()];
    const known = new Set<AccountId>();
    const wanted = new Set<DeviceAddress>();
    for (const account of this.#accounts()) {
      const devices = view.devices(account, now());
      if (devices === undefined) continue;
      known.add(account);
      // At the end, whoever's keys could not be had has not got the message either.
      for (const { address, ready } of devices)
        if (!close || ready || this.#carriers.has(address)) wanted.add(address);
    }
    for (const device of wanted) if (!this.#registered.has(device)) add.add(device);
    for (const device of this.#registered)
      if (known.has(accountOf(device)) && !wanted.has(device)) strike.add(device);
    return { add: [...add], strike: [...strike] };
  }

  /** In no order that says whose they are. */
  #marks(devices: readonly DeviceAddress[]): string[] {
    const key = { id: this.#row.id, key: new Secret(this.#row.key) };
    const marks = devices.map((device) => base64url(capabilityMark(releaseToken(key, device))));
    return marks.sort();
  }
}
