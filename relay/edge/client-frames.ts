// What clients say, frame by frame: who they are, what they submit, ask and watch. Always true: before somebody has
// greeted, and a device has proved itself, nothing but that is taken; who may do what is decided by those who do it.
import {
  type AccountId,
  addressOf,
  agreeOn,
  type ClientFrame,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import { type Directory, StoreFailedError } from "@lethe/queue";
import type { NodeEvent } from "../delivery/types.ts";
import type { Log } from "../log.ts";
import type { Accounts, Cached } from "./accounts.ts";
import type { Addresses } from "./addresses.ts";
import type { ClientSocket } from "./client-socket.ts";
import { greet, proves } from "./greeting.ts";
import type { LookUps } from "./look-ups.ts";
import type { Presence } from "./presence.ts";
import type { Submitting } from "./submitting.ts";
import type { SubmittingGroup } from "./submitting-group.ts";

export interface ClientFramesOptions {
  readonly relay: string;
  readonly directory: Directory;
  readonly accounts: Accounts;
  readonly addresses: Addresses;
  readonly presence: Presence;
  readonly lookUps: LookUps;
  readonly submitting: Submitting;
  readonly submittingGroup: SubmittingGroup;
  readonly limits: () => { readonly envelopeBytes: number; readonly ttlMs: number; readonly pingMs: number };
  readonly log: Log;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Monotonic clock, ms. */
  readonly instant: () => number;
  readonly step: (event: NodeEvent) => void;
}

export class ClientFrames {
  readonly #o: ClientFramesOptions;

  constructor(options: ClientFramesOptions) {
    this.#o = options;
  }

  frame(socket: ClientSocket, frame: ClientFrame): void {
    if (frame.frame === "ping") return socket.send({ frame: "pong", token: frame.token });
    if (frame.frame === "pong") return;
    if (socket.greeting.at === "open") return this.#openFrame(socket, frame);
    if (frame.frame === "hello" && socket.greeting.at === "awaiting-hello") return this.#hello(socket, frame);
    if (frame.frame === "hello-anonymous" && socket.greeting.at === "awaiting-hello")
      return this.#helloAnonymous(socket, frame);
    if (frame.frame === "proof" && socket.greeting.at === "awaiting-proof") return this.#proof(socket, frame);
    socket.end("unexpected-frame");
  }

  #openFrame(socket: ClientSocket, frame: ClientFrame): void {
    switch (frame.frame) {
      case "submit":
        return this.#submit(socket, frame);
      case "submit-group":
        return this.#o.submittingGroup.submit(socket, frame);
      case "signal":
        return this.#withAccount(socket, frame.recipient, frame.accessKey, (cached) =>
          this.#o.submitting.signal(socket, frame, cached),
        );
      case "delivered":
        return this.#o.step({ is: "acked", connection: socket.number, ids: frame.ids });
      case "watch":
        return this.#withAccount(socket, frame.account, frame.accessKey, (cached) =>
          this.#o.presence.watch(socket.number, frame.account, cached?.record),
        );
      case "unwatch":
        return this.#o.presence.unwatch(socket.number, frame.account);
      case "ask-name":
        return this.#wait(socket, () => this.#o.lookUps.name(socket, frame));
      case "ask-devices":
        return this.#withAccount(socket, frame.account, frame.accessKey, (cached) =>
          this.#waitIf(socket, this.#o.lookUps.devices(socket, frame, cached)),
        );
      case "ask-prekeys":
        return this.#withAccount(socket, frame.account, frame.accessKey, (cached) =>
          this.#wait(socket, () => this.#o.lookUps.prekeys(socket, frame, cached)),
        );
      case "hello":
      case "hello-anonymous":
      case "proof":
      case "ping":
      case "pong":
        return socket.end("unexpected-frame");
    }
  }

  #hello(socket: ClientSocket, hello: FrameOf<"hello">): void {
    const greeted = greet(hello, this.#o.relay, this.#o.instant());
    if (typeof greeted === "string") return socket.end(greeted);
    socket.version = greeted.challenge.version;
    socket.greeting = greeted.greeting;
    socket.send(greeted.challenge);
  }

  #helloAnonymous(socket: ClientSocket, hello: FrameOf<"hello-anonymous">): void {
    const version = agreeOn({ min: hello.minVersion, max: hello.maxVersion });
    if (version === undefined) return socket.end("version-unsupported");
    socket.version = version;
    socket.open(undefined);
    this.#o.addresses.proven(socket.address);
    this.welcome(socket);
  }

  #proof(socket: ClientSocket, frame: FrameOf<"proof">): void {
    const { greeting } = socket;
    if (greeting.at !== "awaiting-proof") return;
    const { hello } = greeting;
    // Straight from the directory: what is at hand would tell a stranger by its speed that the account is in use.
    this.#wait(socket, async () => {
      const record = await this.#o.directory.account(hello.account);
      const key = record?.devices.find((d) => d.device === hello.device)?.signingKey;
      const isProved = await proves(greeting, this.#o.relay, socket.version, key, frame.signature);
      if (socket.ended) return; // a proof of somebody who is gone would make a session that nobody ends
      if (!isProved) return socket.end("authentication-failed");
      const address = addressOf(hello.account, hello.device);
      socket.greeting = { at: "claiming", since: this.#o.instant(), address };
      this.#o.step({ is: "connected", connection: socket.number, address, epoch: hello.epoch });
    });
  }

  welcome(socket: ClientSocket): void {
    const limits = this.#o.limits();
    socket.send({
      frame: "welcome",
      version: socket.version,
      relay: this.#o.relay,
      now: this.#o.now() as Time,
      maxEnvelopeBytes: limits.envelopeBytes,
      maxTtlMs: limits.ttlMs,
      pingMs: limits.pingMs,
    });
  }

  /**
   * Runs `then` with the account if what is shown is right for it, else with `undefined`: at once where it is at hand, else
   * later, with later frames held behind it.
   */
  #withAccount(
    socket: ClientSocket,
    account: AccountId,
    accessKey: Uint8Array | undefined,
    then: (cached: Cached | undefined) => void,
  ): void {
    const identified = socket.kind === "device";
    const cached = this.#o.accounts.admitted(account, accessKey, identified);
    if (cached !== undefined) return then(cached);
    this.#wait(socket, async () => {
      const admitted = await this.#o.accounts.admit({ account, accessKey, identified });
      if (!socket.ended) then(admitted);
    });
  }

  #waitIf(socket: ClientSocket, work: Promise<void> | undefined): void {
    if (work !== undefined) this.#wait(socket, () => work);
  }

  #wait(socket: ClientSocket, work: () => Promise<void>): void {
    socket.hold();
    work().then(
      () => socket.resume(),
      (error: unknown) => {
        if (!(error instanceof StoreFailedError))
          this.#o.log.error({ code: "internal", reason: String(error) }, "a frame could not be handled");
        socket.end(error instanceof StoreFailedError ? error.code : "internal");
      },
    );
  }

  // The way of every message: no closure where the account is at hand.
  #submit(socket: ClientSocket, frame: FrameOf<"submit">): void {
    const { recipient, accessKey } = frame;
    const cached = this.#o.accounts.admitted(recipient, accessKey, socket.kind === "device");
    if (cached !== undefined) this.#o.submitting.submit(socket, frame, cached);
    else
      this.#withAccount(socket, recipient, accessKey, (admitted) =>
        this.#o.submitting.submit(socket, frame, admitted),
      );
  }
}
