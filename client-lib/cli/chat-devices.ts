// The account's devices in the chat: `/devices`, `/link CODE`, `/yes`, `/no`. Always true: a code is what the person typed or pasted
// here, never what a message said; a device is linked only after `/yes`.
import type { Client } from "../client.ts";
import type { Linking } from "../linking/devices.ts";
import { adviceFor } from "./advice.ts";
import { listOf } from "./devices.ts";

export class ChatDevices {
  readonly #client: Client;
  readonly #note: (text: string) => void;
  #linking: Linking | undefined;

  constructor(client: Client, note: (text: string) => void) {
    this.#client = client;
    this.#note = note;
  }

  /** False: the command is none of these. */
  takes(name: string, subject: string): boolean {
    if (name === "devices") this.#list();
    else if (name === "link" && subject !== "") this.#do(() => this.#link(subject));
    else if ((name === "yes" || name === "no") && this.#linking !== undefined)
      this.#do(() => this.#answer(name));
    else return false;
    return true;
  }

  #list(): void {
    for (const line of listOf(this.#client).trimEnd().split("\n")) this.#note(`Device ${line}`);
  }

  async #link(code: string): Promise<void> {
    this.#note("Waiting for the new device.");
    this.#linking = await this.#client.devices.link(code);
    this.#note(`Does the new device show ${this.#linking.digits} too? /yes or /no`);
  }

  async #answer(says: "yes" | "no"): Promise<void> {
    const linking = this.#linking;
    this.#linking = undefined;
    if (says === "no") {
      await linking?.cancel();
      this.#note("Not linked.");
      return;
    }
    await linking?.confirm();
    this.#note("Linked. It is a device of yours now.");
  }

  /** Beside what is written meanwhile: it takes a person's time. */
  #do(what: () => Promise<void>): void {
    what().catch((error: unknown) => {
      const { says, advice } = adviceFor(error);
      this.#note(advice === undefined ? says : `${says} ${advice}`);
    });
  }
}
