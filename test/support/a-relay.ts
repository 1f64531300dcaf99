// A relay process for the tests of one `describe` or file: started before them in a folder of its own, stopped after them.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PATHS } from "@lethe/protocol";
import { afterAll, beforeAll } from "vitest";
import { aFolder, type Folder } from "./folder.ts";
import { type Answer, ask, type Person } from "./person.ts";
import { RelayProcess } from "./relay-process.ts";

export interface RelayUnderTest {
  readonly at: RelayProcess;
  /** Its data folder. */
  readonly folder: string;
  /** As the operator, with the token of the data folder. */
  admin(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Registers somebody, with a ticket where there is one. */
  register(person: Person, ticket?: string): Promise<Answer>;
}

/** @param flags are asked for when the tests begin. */
export function aRelay(
  flags: () => readonly string[] | Promise<readonly string[]> = () => [],
): RelayUnderTest {
  const world = { relay: undefined as RelayProcess | undefined, folder: undefined as Folder | undefined };
  beforeAll(async () => {
    world.folder = await aFolder();
    world.relay = await RelayProcess.start({ data: world.folder.path, flags: await flags() });
  });
  afterAll(async () => {
    await world.relay?.stop();
    await world.folder?.[Symbol.asyncDispose]();
  });
  return {
    get at(): RelayProcess {
      if (world.relay === undefined) throw new Error("the relay has not started");
      return world.relay;
    },
    get folder(): string {
      return world.folder?.path ?? "";
    },
    async admin(method, path, body) {
      const token = (await readFile(join(this.folder, "admin-token"), "utf8")).trim();
      const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
      return ask(this.at, method, path, bytes, `Bearer ${token}`);
    },
    register: (person, ticket) =>
      person.request(world.relay as RelayProcess, "POST", PATHS.accounts, {
        ...person.registration,
        ...(ticket === undefined ? {} : { ticket }),
      }),
  };
}
