// What a relay says of itself (`GET /.well-known/lethe`): checked, and kept for as long as it says.
// Always true: not having it stops nothing; it is asked for again at a new connection, no sooner than its lifetime is
// over or, where it could not be had, the relay's time to wait; of the document only the fields that are known are kept.
import type { PolicyJson, RegistrationPolicy } from "@lethe/protocol";
import type { Clock } from "./edge/clock.ts";
import type { RelayHttp } from "./edge/relay-http.ts";
import { ClientError } from "./errors.ts";

/** Who may register, what is taken and kept, for how long, and what `accepted` means. Times in ms, sizes in bytes. */
export type RelayPolicy = PolicyJson;

type Fields = Readonly<Record<string, unknown>>;

const REGISTRATION: readonly RegistrationPolicy[] = ["open", "invite", "jwt", "closed"];
const ACCEPTED = ["synced", "replicated"] as const;

function malformed(field: string): ClientError {
  return new ClientError("policy-malformed", field);
}

function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null) throw malformed(name);
  return value as Fields;
}

function textIn(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw malformed(name);
  return value;
}

function numberIn(fields: Fields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed(name);
  return value as number;
}

function wordIn<W extends string | boolean>(fields: Fields, name: string, words: readonly W[]): W {
  const found = words.find((word) => word === fields[name]);
  if (found === undefined) throw malformed(name);
  return found;
}

/** The document, with nothing in it but what is known. @throws ClientError policy-malformed, naming the first field that does not fit */
export function readPolicy(json: unknown): RelayPolicy {
  const all = fieldsOf(json, "document");
  const [versions, limits] = [fieldsOf(all["versions"], "versions"), fieldsOf(all["limits"], "limits")];
  const retention = fieldsOf(all["retention"], "retention");
  const durability = fieldsOf(all["durability"], "durability");
  return {
    lethe: wordIn(all, "lethe", ["relay"]),
    relay: textIn(all, "relay"),
    versions: { min: numberIn(versions, "min"), max: numberIn(versions, "max") },
    registration: wordIn(all, "registration", REGISTRATION),
    limits: {
      envelopeBytes: numberIn(limits, "envelopeBytes"),
      mailboxEnvelopes: numberIn(limits, "mailboxEnvelopes"),
      mailboxBytes: numberIn(limits, "mailboxBytes"),
      devices: numberIn(limits, "devices"),
    },
    retention: {
      mailMs: numberIn(retention, "mailMs"),
      idleAccountMs: retention["idleAccountMs"] === null ? null : numberIn(retention, "idleAccountMs"),
      forgetMs: numberIn(retention, "forgetMs"),
    },
    media: mediaIn(all),
    durability: {
      accepted: wordIn(durability, "accepted", ACCEPTED),
      copies: numberIn(durability, "copies"),
    },
    now: numberIn(all, "now"),
  };
}

/** Relays that keep no media need not say so. */
function mediaIn({ media }: Fields): RelayPolicy["media"] {
  if (media === undefined || media === null) return null;
  const fields = fieldsOf(media, "media");
  return {
    bytes: numberIn(fields, "bytes"),
    accountBytes: numberIn(fields, "accountBytes"),
    accountBlobs: numberIn(fields, "accountBlobs"),
    keepMs: numberIn(fields, "keepMs"),
    direct: wordIn(fields, "direct", [true, false]),
  };
}

export interface PolicyConfig {
  readonly http: Pick<RelayHttp, "policy">;
  readonly clock: Clock;
  /** It is known now, or another than before. */
  readonly learned: (policy: RelayPolicy) => void;
  readonly failed: (error: ClientError) => void;
}

/** However short its lifetime: no sooner than after this, ms. */
const AT_LEAST_MS = 60_000;
/** However long: after this, ms. */
const AT_MOST_MS = 86_400_000;
/** Where it could not be had, and nobody says how long to wait, ms. */
const RETRY_MS = 60_000;

export class PolicyKeeper {
  readonly #config: PolicyConfig;
  readonly #end = new AbortController();
  #current: RelayPolicy | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(config: PolicyConfig) {
    this.#config = config;
  }

  get current(): RelayPolicy | undefined {
    return this.#current;
  }

  /** Asks for it, unless what there is still holds. */
  look(): void {
    if (this.#asking || this.#end.signal.aborted || this.#config.clock.now() < this.#notBefore) return;
    this.#asking = true;
    void this.#read().finally(() => {
      this.#asking = false;
    });
  }

  async #read(): Promise<void> {
    const { http, clock, learned, failed } = this.#config;
    try {
      const { json, lifetimeMs } = await http.policy(this.#end.signal);
      this.#notBefore = clock.now() + Math.min(Math.max(lifetimeMs, AT_LEAST_MS), AT_MOST_MS);
      const policy = readPolicy(json);
      if (this.#end.signal.aborted || isSame(policy, this.#current)) return;
      this.#current = policy;
      learned(policy);
    } catch (error) {
      const wait = error instanceof ClientError ? error.retryAfter : undefined;
      this.#notBefore = clock.now() + Math.max(wait ?? 0, RETRY_MS);
      if (error instanceof ClientError && error.code === "policy-malformed") failed(error);
    }
  }

  stop(): void {
    this.#end.abort();
  }
}

/** But for the relay's clock. */
function isSame(a: RelayPolicy, b: RelayPolicy | undefined): boolean {
  return b !== undefined && JSON.stringify({ ...a, now: 0 }) === JSON.stringify({ ...b, now: 0 });
}
