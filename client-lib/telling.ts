// From what the core tells to the application's events and promises. Always true: a promise of a message settles before the
// event that says the same; names are as the relay's directory confirms them.
import { type AccountId, accountOf, toHex } from "@lethe/protocol";
import type { Emitter } from "./client-events.ts";
import type { CoreView } from "./delivery/core.ts";
import type { MessageId, RefusalCode, Told } from "./delivery/events.ts";
import { ClientError } from "./errors.ts";
import type { GroupsApi } from "./groups/group-api.ts";
import type { Outgoing } from "./outgoing.ts";
import type { People } from "./people.ts";
import type { Watches } from "./watches.ts";

export interface TellingConfig {
  readonly emitter: Emitter;
  readonly outgoing: Outgoing;
  readonly watches: Watches;
  readonly groups: GroupsApi;
  readonly people: People;
  readonly view: CoreView;
  /** The code by which the application knows a refusal of mail to somebody. */
  readonly refusal: (to: AccountId, code: RefusalCode) => RefusalCode;
  readonly online: () => void;
  readonly accessKeyChanged: () => void;
  /** The relay's clock minus this device's, ms. */
  readonly clock: (offset: number) => void;
}

export class Telling {
  readonly #p: TellingConfig;

  constructor(config: TellingConfig) {
    this.#p = config;
  }

  told(told: Told): void {
    const emitter = this.#p.emitter;
    switch (told.tell) {
      case "connection":
        if (told.state === "online") this.#p.online();
        return emitter.tell("connection", { state: told.state });
      case "drained":
      case "displaced":
        return emitter.tell(told.tell, {});
      case "stopped":
        this.#p.outgoing.failAll(new ClientError(told.code));
        this.#p.watches.failAll(told.code);
        this.#p.groups.failAll(told.code);
        return emitter.tell("stopped", { code: told.code });
      case "store-restored":
        return emitter.tell("restored", {});
      case "queued":
        return this.#p.outgoing.reached(told.message, "queued");
      case "sent":
        this.#p.outgoing.reached(told.message, "sent");
        return emitter.tell("sent", { user: this.#p.people.shown(told.to), id: toHex(told.message) });
      case "expired":
        return this.#failed(told.message, told.to, "expired");
      case "refused":
        return this.#failed(told.message, told.to, told.code);
      case "waiting":
        return emitter.tell("waiting", {
          user: this.#p.people.shown(told.to),
          id: toHex(told.message),
          code: told.code,
        });
      case "group": {
        const known = this.#p.view.group(told.group);
        if (known !== undefined) emitter.tell("group", { group: this.#p.groups.shown(known), how: told.how });
        return;
      }
      case "group-done":
        return this.#p.groups.answered(told.ask, told.code, told.group);
      case "group-sent":
        this.#p.outgoing.reached(told.message, "sent");
        return emitter.tell("group-sent", { group: toHex(told.group), id: toHex(told.message) });
      case "group-refused":
        this.#p.outgoing.failed(told.message, new ClientError(told.code));
        return emitter.tell("group-refused", {
          group: toHex(told.group),
          id: toHex(told.message),
          code: told.code,
        });
      case "group-signal":
        return this.#withName(accountOf(told.from), (from) =>
          emitter.tell("group-typing", { group: toHex(told.group), from }),
        );
      case "request":
        return this.#withName(told.account, (from) =>
          emitter.tell("request", { from, account: toHex(told.account) }),
        );
      case "signal":
        return this.#withName(accountOf(told.from), (from) => emitter.tell("typing", { from }));
      case "presence":
        return emitter.tell("presence", { user: this.#p.people.shown(told.account), ...told.presence });
      case "watching":
        return this.#p.watches.answered(told.ask, told.code);
      case "ratchet-reset":
        return this.#withName(accountOf(told.from), (from) =>
          emitter.tell("ratchet-reset", { from, missing: told.missing }),
        );
      case "resent":
        return emitter.tell("resent", { user: this.#p.people.shown(told.to), id: toHex(told.message) });
      case "access-key-changed":
        return this.#p.accessKeyChanged();
      case "quarantined":
        return emitter.tell("quarantined", { code: told.code });
      case "name":
        return this.#p.people.answered(told.ask, told.account);
      case "name-refused":
        return this.#p.people.answered(told.ask, told.code);
      case "clock":
        return this.#p.clock(told.offset);
    }
  }

  #failed(message: MessageId, to: AccountId, why: RefusalCode): void {
    const code = this.#p.refusal(to, why);
    const user = this.#p.people.shown(to);
    this.#p.outgoing.failed(message, new ClientError(code));
    if (code === "expired") this.#p.emitter.tell("expired", { user, id: toHex(message) });
    else this.#p.emitter.tell("refused", { user, id: toHex(message), code });
    if (code === "account-key-changed") this.#p.emitter.tell("key-changed", { user, code });
  }

  #withName(account: AccountId, then: (name: string) => void): void {
    this.#p.people.confirmed(account).then(then, (error: unknown) => {
      this.#p.emitter.tell("error", { error: error instanceof Error ? error : new Error(String(error)) });
    });
  }
}
