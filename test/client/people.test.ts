import { describe, expect, it } from "vitest";
import type { AccountId, Time } from "@lethe/protocol";
import type { CoreView, RefusalCode } from "@lethe/client";
import { People } from "../../client-lib/people.ts";
import { account } from "./support/bench-core.ts";

type Contact = ReturnType<CoreView["contact"]>;
const NEVER = { at: 0 as Time, by: 0 };

/** A directory, and what the accounts say of themselves. */
function people(directory: Record<string, AccountId | RefusalCode>, claims: Record<AccountId, string>) {
  const contacts = new Map<AccountId, Contact>(
    Object.entries(claims).map(([id, name]) => [
      id as AccountId,
      { decision: "none", accessKey: undefined, name, nameFrom: "claimed", ...NEVER },
    ]),
  );
  const changed: string[] = [];
  const asked: string[] = [];
  const view: CoreView = {
    connection: "online",
    outbox: 0,
    epoch: 1,
    contact: (id) =>
      contacts.get(id) ?? {
        decision: "none",
        accessKey: undefined,
        name: undefined,
        nameFrom: "claimed",
        ...NEVER,
      },
    contacts: () => contacts,
    timer: () => ({ ms: 0, setAt: 0 }),
    groups: () => [],
    group: () => undefined,
    groupSent: () => undefined,
    requests: () => [],
    presence: () => ({ state: "unknown", lastSeen: undefined }),
    sent: () => undefined,
    devices: () => undefined,
    carriers: () => [],
    isPending: () => false,
  };
  const made: People = new People({
    view,
    self: { account: account("anna"), name: "anna" },
    ask: (ask, name) => {
      asked.push(name);
      queueMicrotask(() => made.answered(ask, directory[name] ?? "unknown-name"));
    },
    named: (id, name) =>
      contacts.set(id, { decision: "none", accessKey: undefined, name, nameFrom: "found", ...NEVER }),
    keyChanged: (name) => changed.push(name),
    now: () => 0 as Time,
  });
  return { made, changed, asked };
}

const [BEN, MALLORY] = [account("ben"), account("mallory")];
const SHOWN = "~6d616c6c6f72";

describe("names", () => {
  it("are shown when the directory gives the same account for them, and asked for once", async () => {
    const { made, asked } = people({ ben: BEN }, { [BEN]: "ben" });
    expect(await Promise.all([made.confirmed(BEN), made.confirmed(BEN)])).toEqual(["ben", "ben"]);
    expect(await made.confirmed(BEN)).toBe("ben");
    expect(asked).toEqual(["ben"]);
    expect(made.shown(BEN)).toBe("ben");
  });

  it("are not shown for somebody who only says so", async () => {
    const { made, changed, asked } = people({ ben: BEN }, { [MALLORY]: "ben" });
    expect(await made.confirmed(MALLORY)).toBe(SHOWN);
    for (let i = 0; i < 10; i++) expect(await made.confirmed(MALLORY)).toBe(SHOWN);
    expect(asked).toEqual(["ben"]);
    expect(await made.find("ben", 0 as Time)).toBe(BEN);
    expect(await made.confirmed(MALLORY)).toBe(SHOWN);
    expect(changed).toEqual([]);
    expect(await made.find(SHOWN, 0 as Time)).toBe(MALLORY);
  });

  it("stay with the account that was found first, and the change is told", async () => {
    const directory: Record<string, AccountId | RefusalCode> = { ben: BEN };
    const { made, changed } = people(directory, { [MALLORY]: "ben" });
    expect(await made.find("ben", 0 as Time)).toBe(BEN);
    directory["ben"] = MALLORY;
    expect(await made.confirmed(MALLORY)).toBe(SHOWN);
    expect(changed).toEqual(["ben"]);
    expect(await made.find("ben", 0 as Time)).toBe(BEN);
  });

  it("that nobody has, or that are none, are refused", async () => {
    const { made } = people({}, {});
    await expect(made.find("nobody", 0 as Time)).rejects.toMatchObject({ code: "unknown-user" });
    await expect(made.find("No!", 0 as Time)).rejects.toMatchObject({ code: "name-invalid" });
  });
});
