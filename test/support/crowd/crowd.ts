// People in a few processes, and the one relay that they talk through: starts it, kills it, starts it again.
import { join } from "node:path";
import { aQuietPort } from "../ports.ts";
import { RelayProcess } from "../relay-process.ts";
import { People, type PeopleOptions } from "./people.ts";

export class Crowd extends People {
  readonly #data: string;
  readonly #port: number;
  #relay: RelayProcess | undefined;

  private constructor(options: Omit<PeopleOptions, "relays">, port: number) {
    const { folder } = options;
    super({ ...options, folder: join(folder, "people"), relays: () => [`http://127.0.0.1:${port}`] });
    this.#data = join(folder, "relay");
    this.#port = port;
  }

  /** Everybody is registered, and nobody has said anything. */
  static async gather(options: Omit<PeopleOptions, "relays">): Promise<Crowd> {
    const crowd = new Crowd(options, await aQuietPort(options.chance));
    await crowd.startRelay();
    await crowd.start();
    return crowd;
  }

  async startRelay(): Promise<void> {
    this.#relay = await RelayProcess.start({ data: this.#data, port: this.#port, log: "warn" });
    this.order({ relay: "up" });
  }

  async killRelay(): Promise<void> {
    await this.#relay?.kill();
    this.#relay = undefined;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.killRelay();
    await super[Symbol.asyncDispose]();
  }
}
