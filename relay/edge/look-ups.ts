// What clients ask about others: the account of a name, a device list, prekeys. Always true: each question has one
// answer; on an anonymous connection a wrong access key and an unknown account are answered alike.
import {
  type AccountId,
  accountOf,
  addressOf,
  type FrameOf,
  isUserName,
  PROBLEMS,
  type ProblemCode,
  toBytes,
} from "@lethe/protocol";
import { type Directory, StoreFailedError } from "@lethe/queue";
import { type Accounts, type Cached, requesterOf } from "./accounts.ts";
import { type ClientSocket, retryAfter } from "./client-socket.ts";
import type { HandOut } from "./hand-out.ts";

export class LookUps {
  readonly #accounts: Accounts;
  readonly #directory: Directory;
  readonly #handOut: HandOut;

  constructor(accounts: Accounts, directory: Directory, handOut: HandOut) {
    this.#accounts = accounts;
    this.#directory = directory;
    this.#handOut = handOut;
  }

  relimit(prekeyFetches: number): void {
    this.#handOut.relimit(prekeyFetches);
  }

  async name(socket: ClientSocket, { request, name }: FrameOf<"ask-name">): Promise<void> {
    const wait = socket.questions.take(1, socket.lastHeard);
    if (wait > 0) return refuse(socket, request, "rate-limited", wait);
    const account = isUserName(name) ? await this.#directory.accountOfName(name) : undefined;
    if (account === undefined) refuse(socket, request, "unknown-name");
    else socket.send({ frame: "is-account", request, account });
  }

  devices(
    socket: ClientSocket,
    frame: FrameOf<"ask-devices">,
    cached: Cached | undefined,
  ): Promise<void> | undefined {
    const { request } = frame;
    if (cached?.listing === undefined) return this.#list(socket, frame, cached);
    socket.send({ frame: "has-devices", request, ...cached.listing });
    return undefined;
  }

  async #list(
    socket: ClientSocket,
    { request, account }: FrameOf<"ask-devices">,
    cached: Cached | undefined,
  ): Promise<void> {
    const listing = cached === undefined ? undefined : await this.#accounts.listing(account, cached);
    if (listing === undefined) refuse(socket, request, "not-permitted");
    else socket.send({ frame: "has-devices", request, ...listing });
  }

  async prekeys(
    socket: ClientSocket,
    frame: FrameOf<"ask-prekeys">,
    cached: Cached | undefined,
  ): Promise<void> {
    if (cached === undefined) return refuse(socket, frame.request, "not-permitted");
    const own = accountBehind(socket);
    const secret = frame.accessKey ?? toBytes(own as AccountId);
    const address = addressOf(frame.account, frame.device);
    const requester = requesterOf(secret, frame.requestId);
    const isContact = frame.accessKey !== undefined || own === frame.account;
    const answer = this.#handOut.ask({
      who: own ?? socket.address.remote,
      target: address,
      requester,
      isContact,
    });
    if (answer.is === "wait") return refuse(socket, frame.request, "rate-limited", answer.ms);
    const take = { address, requester, oneTime: answer.oneTime };
    const bundle = await this.#directory.takePrekeys(take).catch(storeFailure);
    if (bundle === undefined) refuse(socket, frame.request, "no-device");
    else if (bundle instanceof StoreFailedError) refuse(socket, frame.request, bundle.code);
    else socket.send({ frame: "has-prekeys", request: frame.request, ...bundle });
  }
}

function refuse(
  socket: ClientSocket,
  request: number,
  code: ProblemCode,
  wait: number = retryAfter(code),
): void {
  socket.send({ frame: "ask-refused", request, code: PROBLEMS[code].number, retryAfter: wait });
}

/** Undefined on an anonymous connection. */
function accountBehind({ greeting }: ClientSocket): AccountId | undefined {
  return greeting.at === "open" && greeting.address !== undefined ? accountOf(greeting.address) : undefined;
}

/** A disk that is full or fails is an answer; anything else is a fault. */
function storeFailure(error: unknown): StoreFailedError {
  if (error instanceof StoreFailedError) return error;
  throw error;
}
