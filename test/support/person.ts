// Somebody on a relay, as the wire sees them: ids, a device's signing key, an access key. Nothing here is encrypted for
// anybody: the relay takes certificates, lists and prekeys for what they are to it, bytes.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { accessKeyHash, ready } from "@lethe/crypto";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceListRequest,
  type DeviceNumber,
  encode,
  fromBytes,
  PATHS,
  type PrekeyJson,
  type ProblemJson,
  type RegisterRequest,
  requestTuple,
  signedBytes,
  type Time,
  toHex,
} from "@lethe/protocol";
import { RELAY_NAME } from "./relay-process.ts";

await ready();

export interface SigningKey {
  readonly secret: KeyObject;
  /** Ed25519, 32 bytes. */
  readonly public: Uint8Array;
}

export function aSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const spki = publicKey.export({ format: "der", type: "spki" });
  return { secret: privateKey, public: new Uint8Array(spki.subarray(-32)) };
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");

/** Where a request goes: a relay process, or anything with an address. */
export interface At {
  readonly url: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
  /** The code of a refusal, "" of a success. */
  readonly code: string;
}

/** What a signed request says, before it is signed: tests change it to be refused. */
export interface Saying {
  readonly time: number;
  readonly nonce: Uint8Array;
  readonly relay: string;
  readonly device: number;
  readonly key: KeyObject;
}

export class Person {
  readonly name: string;
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly key: SigningKey;
  readonly accountKey: SigningKey;
  readonly accessKey: Uint8Array;
  listVersion = 1;
  epoch = 0;

  constructor(name: string, device = 1, of?: Person) {
    this.name = name;
    this.account = of?.account ?? fromBytes<AccountId>(randomBytes(16));
    this.device = device as DeviceNumber;
    this.key = aSigningKey();
    this.accountKey = of?.accountKey ?? aSigningKey();
    this.accessKey = of?.accessKey ?? new Uint8Array(randomBytes(16));
    this.listVersion = of?.listVersion ?? 1;
  }

  /** Somebody new with a name that nobody has. */
  static called(name: string): Person {
    return new Person(`${name}-${randomBytes(6).toString("hex")}`);
  }

  get address(): DeviceAddress {
    return addressOf(this.account, this.device);
  }

  get registration(): RegisterRequest {
    return {
      name: this.name,
      account: toHex(this.account),
      accountKey: base64url(this.accountKey.public),
      device: this.device,
      signingKey: base64url(this.key.public),
      certificate: base64url(Buffer.from(`certificate of device ${this.device}`)),
      deviceList: base64url(Buffer.from(`device list ${this.listVersion}`)),
      listVersion: this.listVersion,
      accessKeyHash: base64url(accessKeyHash(this.accessKey)),
    };
  }

  /** The next device list of the account: these are its devices. */
  listOf(version: number, devices: readonly Person[]): DeviceListRequest {
    return {
      version,
      deviceList: base64url(Buffer.from(`device list ${version}`)),
      devices: devices.map((person) => ({
        device: person.device,
        signingKey: base64url(person.key.public),
        certificate: base64url(Buffer.from(`certificate of device ${person.device}`)),
      })),
    };
  }

  /** The header of a signed request (clause H-SIGN). */
  authorization(method: string, path: string, body: Uint8Array, saying: Partial<Saying> = {}): string {
    const said: Saying = {
      time: Date.now(),
      nonce: randomBytes(16),
      relay: RELAY_NAME,
      device: this.device,
      key: this.key.secret,
      ...saying,
    };
    const tuple = encode(requestTuple, {
      relay: said.relay,
      method,
      path,
      account: this.account,
      device: said.device as DeviceNumber,
      time: said.time as Time,
      nonce: said.nonce,
      bodyHash: createHash("sha512").update(body).digest(),
    });
    const signature = sign(null, signedBytes("request", tuple), said.key);
    return `Lethe account=${toHex(this.account)},device=${said.device},time=${said.time},nonce=${base64url(said.nonce)},signature=${base64url(signature)}`;
  }

  async request(
    relay: At,
    method: string,
    path: string,
    body?: unknown,
    saying: Partial<Saying> = {},
  ): Promise<Answer> {
    const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
    return ask(relay, method, path, bytes, this.authorization(method, path, bytes, saying));
  }

  async register(relay: At): Promise<this> {
    const answer = await this.request(relay, "POST", PATHS.accounts, this.registration);
    if (answer.status !== 201)
      throw new Error(`${this.name} was not registered: ${answer.status} ${answer.code}`);
    return this;
  }
}

/** One HTTP request with exactly these bytes. */
export async function ask(
  relay: At,
  method: string,
  path: string,
  body: Uint8Array,
  authorization?: string,
): Promise<Answer> {
  const response = await fetch(`${relay.url}${path}`, {
    method,
    headers: {
      ...(body.length > 0 ? { "content-type": "application/json" } : {}),
      ...(authorization === undefined ? {} : { authorization }),
    },
    ...(body.length > 0 ? { body: new Uint8Array(body) } : {}),
  });
  const text = await response.text();
  const json = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: response.status, headers: response.headers, body: json, code: codeOf(json) };
}

function codeOf(json: Record<string, unknown>): string {
  const { code } = json as Partial<ProblemJson>;
  return code ?? "";
}

/** A prekey that nobody can use: the relay does not know that. */
export function aPrekey(text: string): PrekeyJson {
  const id = createHash("sha256").update(text).digest().subarray(0, 8);
  return { id: base64url(id), bytes: base64url(Buffer.from(text)) };
}
