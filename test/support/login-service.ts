// An operator's own login service: signs tokens with keys that it publishes in a file or at an address, and rotates them.
// Always true: what it publishes is whole at every moment, and its address stays the same when it is down and back.
import { once } from "node:events";
import { rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { aFolder, type Folder } from "./folder.ts";

export const ISSUER = "https://login.example";
export const AUDIENCE = "lethe.example";

export interface Signing {
  readonly kid?: string;
  readonly expires?: string;
  readonly notBefore?: string;
}

/** Where its keys can be had. */
export type Published = "in a file" | "at an address";

export class LoginService implements AsyncDisposable {
  readonly published: Published;
  readonly #folder: Folder;
  readonly #secrets = new Map<string, CryptoKey>();
  readonly #public = new Map<string, JWK>();
  #server: Server | undefined;
  #port = 0;
  #set = JSON.stringify({ keys: [] });
  #asked = 0;
  #isUp = false;
  /** HTTP status of its answers. */
  status = 200;

  private constructor(published: Published, folder: Folder) {
    this.published = published;
    this.#folder = folder;
  }

  /** With the keys `one`, `two` and `three`, of which the first is published. */
  static async open(published: Published): Promise<LoginService> {
    const service = new LoginService(published, await aFolder());
    for (const kid of ["one", "two", "three"]) {
      const { privateKey, publicKey } = await generateKeyPair("ES256");
      service.#secrets.set(kid, privateKey);
      service.#public.set(kid, { ...(await exportJWK(publicKey)), kid, alg: "ES256" });
    }
    await service.publish("one");
    await service.up();
    return service;
  }

  /** How often its address was asked. */
  get asked(): number {
    return this.#asked;
  }

  get #file(): string {
    return join(this.#folder.path, "keys.json");
  }

  /** The value of `--jwt-keys`. */
  get keys(): string {
    return this.published === "in a file" ? this.#file : `http://127.0.0.1:${this.#port}/keys`;
  }

  /** Flags of a relay that trusts it. */
  get flags(): string[] {
    const trust = { issuer: ISSUER, audience: AUDIENCE, keys: this.keys, name: "login" };
    const jwt = Object.entries(trust).flatMap(([name, value]) => [`--jwt-${name}`, value]);
    return ["--registration", "jwt", ...jwt];
  }

  publicKey(kid: string): JWK {
    const key = this.#public.get(kid);
    if (key === undefined) throw new Error(`there is no key ${kid}`);
    return key;
  }

  /** From now on these keys are the set, and no others; while it is down, once it is back. */
  async publish(...kids: readonly string[]): Promise<void> {
    this.#set = JSON.stringify({ keys: kids.map((kid) => this.publicKey(kid)) });
    if (this.#isUp && this.published === "in a file") await this.#write();
  }

  async #write(): Promise<void> {
    await writeFile(`${this.#file}.new`, this.#set);
    await rename(`${this.#file}.new`, this.#file);
  }

  /** Its keys cannot be had. */
  async down(): Promise<void> {
    this.#isUp = false;
    await rm(this.#file, { force: true });
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }

  async up(): Promise<void> {
    this.#isUp = true;
    if (this.published === "in a file") return this.#write();
    this.#server = createServer((_request, response) => {
      this.#asked++;
      response.writeHead(this.status, { "content-type": "application/json" });
      response.end(this.#set);
    }).listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  sign(
    claims: Record<string, unknown>,
    { kid = "one", expires = "5m", notBefore }: Signing = {},
  ): Promise<string> {
    const token = new SignJWT({ iss: ISSUER, aud: AUDIENCE, ...claims })
      .setProtectedHeader({ alg: "ES256", kid })
      .setExpirationTime(expires);
    if (notBefore !== undefined) token.setNotBefore(notBefore);
    return token.sign(this.#secrets.get(kid) as CryptoKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await this.#folder[Symbol.asyncDispose]();
  }
}
