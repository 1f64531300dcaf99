// What a chat understands of devices, and what the command line takes of them.
import { ClientError, type Client, type Linking } from "@lethe/client";
import { describe, expect, it } from "vitest";
import { parseCommand } from "../../client-lib/cli/arguments.ts";
import { ChatDevices } from "../../client-lib/cli/chat-devices.ts";

/** A chat beside a client whose first device links with any code but "bad". */
function aChat() {
  const notes: string[] = [];
  const done: string[] = [];
  const linking: Linking = {
    digits: "012345",
    confirm: () => Promise.resolve(void done.push("confirmed")),
    cancel: () => Promise.resolve(void done.push("cancelled")),
  };
  const devices: Client["devices"] = {
    list: () => [
      { number: 1, createdAt: 0, isPrimary: true, isThis: true },
      { number: 3, createdAt: undefined, isPrimary: false, isThis: false },
    ],
    link: (code) =>
      code === "bad" ? Promise.reject(new ClientError("linking-refused")) : Promise.resolve(linking),
    remove: () => Promise.resolve(),
  };
  const chat = new ChatDevices({ devices } as Client, (text) => notes.push(text));
  /** Notes since the last time, once everything that was begun has ended. */
  const said = async (): Promise<string[]> => {
    await new Promise((resolve) => setImmediate(resolve));
    return notes.splice(0);
  };
  return { chat, done, said };
}

describe("a chat", () => {
  it("lists devices", async () => {
    const { chat, said } = aChat();
    expect(chat.takes("devices", "")).toBe(true);
    expect(await said()).toEqual(["Device 1 since 1970-01-01, the first one, this one", "Device 3"]);
  });

  it("links what the person gives it, and only after a yes", async () => {
    const { chat, done, said } = aChat();
    expect(chat.takes("yes", "")).toBe(false);
    expect(chat.takes("link", "")).toBe(false);
    expect(chat.takes("link", "code")).toBe(true);
    expect(await said()).toEqual([
      "Waiting for the new device.",
      "Does the new device show 012345 too? /yes or /no",
    ]);
    expect(done).toEqual([]);
    expect(chat.takes("yes", "")).toBe(true);
    expect(await said()).toEqual(["Linked. It is a device of yours now."]);
    expect(done).toEqual(["confirmed"]);
    expect(chat.takes("yes", "")).toBe(false);
  });

  it("gives up at a no, and says what was wrong with a code", async () => {
    const { chat, done, said } = aChat();
    chat.takes("link", "code");
    await said();
    chat.takes("no", "");
    expect(await said()).toEqual(["Not linked."]);
    expect(done).toEqual(["cancelled"]);
    chat.takes("link", "bad");
    expect((await said())[1]).toContain("somebody may stand in between");
  });
});

describe("the command line", () => {
  const parsed = (...args: string[]) => parseCommand(args, { XDG_DATA_HOME: "/share" });

  it("takes a device's commands", () => {
    const account = {
      user: "anna",
      relay: "http://127.0.0.1:8787",
      store: "/share/lethe/anna.db",
      passphraseFile: undefined,
    };
    expect(parsed("link", "anna")).toEqual({ run: "link", link: account });
    expect(parsed("devices", "anna")).toEqual({ run: "devices", devices: account, act: { do: "list" } });
    expect(parsed("devices", "anna", "add", "AB")).toMatchObject({ act: { do: "add", code: "AB" } });
    expect(parsed("devices", "anna", "remove", "2", "--store", "s")).toMatchObject({
      devices: { store: "s" },
      act: { do: "remove", number: 2 },
    });
    for (const of of ["link", "devices"]) expect(parsed(of, "--help")).toEqual({ run: "help", of });
  });

  it.each([
    ["link"],
    ["link", "No!"],
    ["link", "anna", "more"],
    ["devices"],
    ["devices", "anna", "add"],
    ["devices", "anna", "remove"],
    ["devices", "anna", "remove", "x"],
    ["devices", "anna", "remove", "2", "3"],
    ["devices", "anna", "rename"],
    ["devices", "anna", "--with", "ben"],
  ])("refuses %s %s %s %s %s", (...args) => {
    expect(() => parsed(...args)).toThrow(/lethe (?:link|devices)|is no name|whole number/);
  });
});
