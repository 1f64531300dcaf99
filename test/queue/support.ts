// An embedded mailbox over the disk that fails, with the real directory beside it: opened, crashed and opened again.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend, MailboxLimits, StoreEvent } from "@lethe/queue";
import { DirectoryClient } from "../../queue/embedded/directory/client.ts";
import { SHIPPED, type Tuning } from "../../queue/embedded/limits.ts";
import { type OpenMail, openMail } from "../../queue/embedded/open.ts";
import { Clock, ROOMY } from "../contracts/world.ts";
import { type Chance, chanceOf, Disk } from "./disk.ts";

/** Small enough that a short test crosses every border. */
export const SMALL: Tuning = {
  ...SHIPPED,
  segmentBytes: 4_096,
  chunkBytes: 4_096,
  tailChunks: 8,
  waitingBytes: 8_192,
  positionBlock: 64,
};

export interface StoreOptions {
  readonly limits?: MailboxLimits;
  readonly tuning?: Partial<Tuning>;
  readonly seed?: number;
  readonly disk?: Disk;
}

/** The directory's thread, shared by the stores of a test file: devices never meet, since addresses are random. */
export class TestDirectory implements AsyncDisposable {
  readonly client: DirectoryClient;
  readonly #folder: string;

  private constructor(client: DirectoryClient, folder: string) {
    this.client = client;
    this.#folder = folder;
  }

  static async open(): Promise<TestDirectory> {
    const folder = await mkdtemp(join(tmpdir(), "lethe-directory-"));
    return new TestDirectory(await DirectoryClient.open(join(folder, "directory.sqlite")), folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await rm(this.#folder, { recursive: true });
  }
}

export class TestStore {
  readonly disk: Disk;
  readonly clock = new Clock();
  readonly events: StoreEvent[] = [];
  readonly chance: Chance;
  readonly #client: DirectoryClient;
  readonly #options: StoreOptions;
  #open: OpenMail | undefined = undefined;
  #life = 0;

  private constructor(directory: TestDirectory, options: StoreOptions) {
    this.#client = directory.client;
    this.#options = options;
    this.chance = chanceOf(options.seed ?? 1);
    this.disk = options.disk ?? new Disk(this.chance);
  }

  static async open(directory: TestDirectory, options: StoreOptions = {}): Promise<TestStore> {
    const store = new TestStore(directory, options);
    await store.start();
    return store;
  }

  async start(): Promise<void> {
    const life = ++this.#life;
    const report = (event: StoreEvent): void => {
      if (life === this.#life) this.events.push(event);
    };
    this.#open = await openMail({
      client: this.#client,
      files: this.disk.layer(),
      timers: this.clock,
      tuning: { ...SMALL, ...this.#options.tuning },
      config: {
        now: this.clock.now,
        limits: this.#options.limits ?? ROOMY,
        report,
      },
    });
  }

  get #mail(): OpenMail {
    if (this.#open === undefined) throw new Error("the store is not open");
    return this.#open;
  }

  get mailbox(): OpenMail["mailbox"] {
    return this.#mail.mailbox;
  }

  /** As much of a backend as the small words of the contracts need. */
  get backend(): Pick<Backend, "mailbox"> {
    return this.#mail;
  }

  forget(which: "due" | "all"): Promise<void> {
    return this.#mail.forgetting.pass(which);
  }

  /** Resolves when no pass is under way. */
  idle(): Promise<void> {
    return this.#mail.forgetting.idle();
  }

  close(): Promise<void> {
    return this.mailbox.close();
  }

  async restart(): Promise<void> {
    await this.close();
    await this.start();
  }

  /** Nothing is closed in order: the process, or the power, is gone. */
  async crash(how: "process" | "power"): Promise<void> {
    this.#life++;
    if (how === "process") this.disk.killProcess();
    else this.disk.losePower();
    // What the dead process still tries comes to nothing; its thread-side verbs are settled before the next start.
    await this.close().catch(() => undefined);
    await this.start();
  }

  eventsOf<Kind extends StoreEvent["is"]>(kind: Kind): Extract<StoreEvent, { is: Kind }>[] {
    return this.events.filter((event): event is Extract<StoreEvent, { is: Kind }> => event.is === kind);
  }
}
