// People with files: real clients on a real relay, each behind a line that a test can hold, with stores that outlive a client.
import { randomBytes } from "node:crypto";
import { readdir, rm, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bytesSource,
  Client,
  type ClientOptions,
  type ClientStore,
  type ReceivedMessage,
} from "@lethe/client";
import { MEDIA_TABLES } from "../../../client-lib/media/tables.ts";
import { lastingStore } from "../../support/linked-store.ts";
import { eventually } from "../../support/waiting.ts";
import { HttpLine } from "./http-line.ts";
import { RelayProcess } from "./relay-process.ts";

const PATIENCE_MS = 60_000;

export const randomData = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
export const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.from(a).equals(b);

/** Somebody's device: its store stays when its client ends. */
export class Device {
  readonly store: ClientStore;
  readonly line: HttpLine;
  readonly client: Client;

  constructor(store: ClientStore, line: HttpLine, client: Client) {
    this.store = store;
    this.line = line;
    this.client = client;
  }

  get user(): string {
    return this.client.user;
  }

  /** The next message with a file. */
  file(): Promise<ReceivedMessage> {
    return this.client.once("message", ({ media }) => media !== undefined);
  }

  /** Nothing of media is in its store any more but where files were saved to. */
  async owesNothing(): Promise<void> {
    await eventually(PATIENCE_MS, `the end of what ${this.user} owes`, async () => {
      const rows = await Promise.all(MEDIA_TABLES.filter(isOwing).map((table) => this.store.list(table)));
      return rows.every((each) => each.length === 0) ? true : undefined;
    });
  }
}

export class MediaWorld implements AsyncDisposable {
  readonly relay: RelayProcess;
  readonly folder: string;
  readonly #open: AsyncDisposable[] = [];
  #people = 0;
  /** What earlier tests have left on purpose. */
  #left: readonly string[] = [];

  private constructor(relay: RelayProcess, folder: string) {
    this.relay = relay;
    this.folder = folder;
  }

  static async begin(): Promise<MediaWorld> {
    return new MediaWorld(await RelayProcess.start(), await mkdtemp(join(tmpdir(), "lethe-media-")));
  }

  /** A name that no other test of this run has. */
  name(name: string): string {
    return `${name}-${++this.#people}`;
  }

  person(name: string, options: Partial<ClientOptions> = {}): Promise<Device> {
    return this.device(this.name(name), lastingStore(), options);
  }

  /** A client on a store that there is. */
  async device(user: string, store: ClientStore, options: Partial<ClientOptions> = {}): Promise<Device> {
    const line = await HttpLine.before(this.relay);
    const client = await Client.create({ relay: line.url, user, store, ...QUICK, ...options });
    this.closes(line, client);
    return new Device(store, line, client);
  }

  closes(line: HttpLine, client: Client): void {
    this.#open.push({
      [Symbol.asyncDispose]: async () => {
        await client.close();
        await line[Symbol.asyncDispose]();
      },
    });
  }

  /** Two who have written to one another: each has the other's keys. */
  async friends(): Promise<[Device, Device]> {
    const [anna, ben] = [await this.person("anna"), await this.person("ben")];
    for (const [from, to] of [
      [anna, ben],
      [ben, anna],
    ] as const) {
      const heard = to.client.once("message");
      await from.client.send(to.user, "hello");
      await heard;
    }
    return [anna, ben];
  }

  /** Files of parts that the relay has. */
  async parts(): Promise<string[]> {
    const folder = join(this.relay.folder, "data", "media");
    const listed = () => readdir(folder, { recursive: true }).catch(() => undefined); // a folder in it may go meanwhile
    const names = await eventually(PATIENCE_MS, "a list of the blobs", listed);
    return names.filter((name) => /[0-9a-f]{32}\/\d+$/.test(name) && !this.#left.includes(name));
  }

  /** Nothing is left at the relay of any file. */
  async isEmpty(): Promise<void> {
    await eventually(PATIENCE_MS, "the end of all blobs", async () =>
      (await this.parts()).length === 0 ? true : undefined,
    );
  }

  /** Ends all clients. */
  async closeAll(): Promise<void> {
    for (const each of this.#open.splice(0)) await each[Symbol.asyncDispose]();
    this.#left = [...this.#left, ...(await this.parts())];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeAll();
    await this.relay[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true });
  }
}

/** A file from one to another, as it has come. */
export async function sent(from: Device, to: Device, bytes: Uint8Array) {
  const [message, handle] = await Promise.all([
    to.file(),
    from.client.sendMedia(to.user, bytesSource(bytes)),
  ]);
  if (message.media === undefined) throw new Error("no file");
  return { media: message.media, handle };
}

const isOwing = (table: string): boolean => table !== "media-download";
const QUICK = { requests: "accept", receiptJitterMs: 20, ownJitterMs: 20 } as const;
