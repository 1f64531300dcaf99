// All that a relay process sees of two files, played once and recorded: Anna sends Ben a file, Ben passes it on to Cleo, who is away
// at first. Always true: requests are recorded in front of the relay, frames as they go out, files and ledger while a file waits.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { bytesSource, Client, type ClientStore, type OpenSocket, type ReceivedMedia } from "@lethe/client";
import {
  type AccountId,
  AUTHORIZATION_SCHEME,
  type ClientFrame,
  type ConnectionKind,
  decodeFrames,
  fromHex,
  MAX_VERSION,
  PATHS,
} from "@lethe/protocol";
import { openNodeSocket } from "../../client-lib/edge/socket.ts";
import { decodeRef, type MediaRef } from "../../client-lib/media/media-ref.ts";
import { aFolder, contentsOf, type Folder } from "../support/folder.ts";
import { lastingStore } from "../support/linked-store.ts";
import { RecordingLine, type Request } from "../support/recording-line.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { eventually } from "../support/waiting.ts";

const PATIENCE_MS = 30_000;
/** Two parts. */
export const FILE_BYTES = 2_300_000;
export const ABOUT = {
  name: "the-plan-of-the-cellar.pdf",
  type: "application/x-very-secret",
  caption: "nobody must know",
} as const;
export const [ANNA, BEN, CLEO] = ["anna-of-the-hill", "ben-by-the-river", "cleo-from-the-coast"] as const;

/** Something that the relay was given, or has kept or written. */
export interface Seen {
  readonly what: string;
  readonly bytes: Buffer;
}

/** A request of the half that moves files, and whose file it is about, in hexadecimal. */
export interface FileRequest extends Request {
  readonly who: string;
  readonly id: string;
}

interface Someone {
  readonly user: string;
  readonly store: ClientStore;
  readonly line: RecordingLine;
  client: Client;
}

export class MediaView implements AsyncDisposable {
  readonly file = randomBytes(FILE_BYTES);
  readonly thumbnail = randomBytes(1_000);
  readonly frames: { who: string; frame: ClientFrame }[] = [];
  /** The relay's files while each of the two waited, and at the end. */
  readonly kept: Seen[] = [];
  /** Its log and its metrics at the same times. */
  readonly written: Seen[] = [];
  /** What the ledger held while the second file waited, one row each. */
  rows: { readonly table: string; readonly values: readonly unknown[] }[] = [];
  readonly #people = new Map<string, Someone>();
  readonly #folder: Folder;
  #relay: RelayProcess;
  #files: { readonly origin: MediaRef; readonly copy: MediaRef } | undefined;

  private constructor(folder: Folder, relay: RelayProcess) {
    this.#folder = folder;
    this.#relay = relay;
  }

  static async recorded(): Promise<MediaView> {
    const folder = await aFolder();
    const view = new MediaView(folder, await RelayProcess.start({ data: folder.path, log: "debug" }));
    const [anna, ben, cleo] = [await view.#comes(ANNA), await view.#comes(BEN), await view.#comes(CLEO)];
    await view.#hello(anna, ben);
    await view.#hello(ben, cleo);
    await view.#play(anna, ben, cleo);
    return view;
  }

  async #play(anna: Someone, ben: Someone, cleo: Someone): Promise<void> {
    const [first] = await Promise.all([fileAt(ben), this.#send(anna, ben, new Uint8Array(this.file))]);
    await this.#look();
    const fetched = await this.#fetch(first);

    await cleo.client.close();
    await this.#send(ben, cleo, fetched);
    await ben.client.close();
    await this.#look();
    await this.#relay.stop();
    this.rows = this.#ledger();
    const { port } = this.#relay;
    this.#relay = await RelayProcess.start({ data: this.#folder.path, port, log: "debug" });
    await this.#comes(BEN);
    const second = await fileAt(await this.#comes(CLEO));
    if (!this.file.equals(await this.#fetch(second))) throw new Error("another file");
    await this.#look();
    this.#files = { origin: decodeRef(first.ref), copy: decodeRef(second.ref) };
  }

  async #comes(user: string): Promise<Someone> {
    const { store, line } = this.#people.get(user) ?? {
      store: lastingStore(),
      line: await RecordingLine.before(() => this.#relay.port),
    };
    const quick = { requests: "accept", receiptJitterMs: 10 } as const;
    const openSocket = this.#tapped(user);
    const client = await Client.create({ relay: line.url, user, store, openSocket, ...quick });
    const someone = { user, store, line, client };
    this.#people.set(user, someone);
    return someone;
  }

  #tapped(who: string): OpenSocket {
    return (url, events) => {
      const on: ConnectionKind = url.endsWith(PATHS.anonymousSocket) ? "anonymous" : "device";
      const socket = openNodeSocket(url, events);
      return {
        send: (message) => {
          for (const frame of decodeFrames(message.slice(), { from: "client", on, version: MAX_VERSION }))
            this.frames.push({ who, frame });
          socket.send(message);
        },
        close: () => socket.close(),
      };
    };
  }

  async #hello(one: Someone, other: Someone): Promise<void> {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const heard = to.client.once("message");
      await from.client.send(to.user, "hello");
      await heard;
    }
  }

  #send(from: Someone, to: Someone, data: Uint8Array): Promise<unknown> {
    const about = { ...ABOUT, thumbnail: new Uint8Array(this.thumbnail), width: 640, height: 480 };
    return from.client.sendMedia(to.user, bytesSource(data), about);
  }

  /** All of it, once the relay has no file any more. */
  async #fetch(media: ReceivedMedia): Promise<Uint8Array> {
    const data = await media.bytes(FILE_BYTES);
    await eventually(PATIENCE_MS, "the end of the file", async () =>
      (await this.#relay.metric("lethe_media_blobs")) === 0 ? true : undefined,
    );
    return data;
  }

  async #look(): Promise<void> {
    const files = await contentsOf(this.#folder.path);
    this.kept.push(...files.map(({ path, bytes }) => ({ what: path, bytes })));
    const metrics = await (await fetch(`${this.#relay.url}/metrics`)).text();
    this.written.push({ what: "its log", bytes: this.#relay.output });
    this.written.push({ what: "its metrics", bytes: Buffer.from(metrics) });
  }

  /** Read while no relay has the database open. */
  #ledger(): MediaView["rows"] {
    const database = new DatabaseSync(join(this.#folder.path, "directory.sqlite"), { readOnly: true });
    const all = ["media", "media_token"].flatMap((table) => {
      const found = database.prepare(`SELECT * FROM ${table}`).all();
      return found.map((row) => ({ table, values: Object.values(row) as unknown[] }));
    });
    database.close();
    return all;
  }

  /** The file as Ben had it, and as Cleo had it. */
  get files(): readonly [MediaRef, MediaRef] {
    if (this.#files === undefined) throw new Error("it was not played to its end");
    return [this.#files.origin, this.#files.copy];
  }

  get people(): { readonly user: string; readonly account: AccountId }[] {
    return [...this.#people.values()].map(({ user, client: { account } }) => ({
      user,
      account: fromHex<AccountId>(account, 16),
    }));
  }

  account(wanted: string): AccountId {
    const found = this.people.find(({ user }) => user === wanted);
    if (found === undefined) throw new Error(`who is ${wanted}?`);
    return found.account;
  }

  /** What somebody has signed. */
  signed(who: string): Request[] {
    const requests = this.#people.get(who)?.line.requests ?? [];
    return requests.filter(({ headers }) =>
      headers.some(
        ([name, value]) => name === "authorization" && value.startsWith(`${AUTHORIZATION_SCHEME} `),
      ),
    );
  }

  get requests(): Request[] {
    return [...this.#people.values()].flatMap(({ line }) => line.requests);
  }

  /** Those of the half that moves files. */
  get fileRequests(): FileRequest[] {
    return [...this.#people.values()].flatMap(({ user: who, line }) =>
      line.requests.flatMap((request) => {
        const id = /^\/v1\/media\/([0-9a-f]{32})/.exec(request.path)?.[1];
        return id === undefined ? [] : [{ ...request, who, id }];
      }),
    );
  }

  about({ id }: MediaRef): FileRequest[] {
    return this.fileRequests.filter((request) => request.id === hex(id));
  }

  /** Everything that the relay was given and has answered, and all that it kept and wrote. */
  get everything(): Seen[] {
    return [
      ...this.requests.map((request) => ({ what: nameOf(request), bytes: rawOf(request) })),
      ...this.requests.map((request) => ({ what: `answer to ${nameOf(request)}`, bytes: request.answer })),
      ...this.frames.map(({ frame, who }) => ({ what: `${frame.frame} of ${who}`, bytes: bytesIn(frame) })),
      ...this.kept,
      ...this.written,
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client } of this.#people.values()) await client.close();
    for (const { line } of this.#people.values()) await line[Symbol.asyncDispose]();
    await this.#relay.stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}

export const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

async function fileAt({ client }: Someone): Promise<ReceivedMedia> {
  const { media } = await client.once("message", (message) => message.media !== undefined);
  if (media === undefined) throw new Error("no file");
  return media;
}

export function nameOf({ method, path }: Request): string {
  return `${method} ${path}`;
}

/** A request as it comes over the line. */
export function rawOf(request: Request): Buffer {
  const headers = request.headers.map((pair) => pair.join(": "));
  return Buffer.concat([Buffer.from([nameOf(request), ...headers, ""].join("\n")), request.body]);
}

/** All bytes and texts in a frame. */
function bytesIn(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value === "string") return Buffer.from(value, "latin1");
  if (typeof value !== "object" || value === null) return Buffer.alloc(0);
  return Buffer.concat(Object.values(value).map(bytesIn));
}
