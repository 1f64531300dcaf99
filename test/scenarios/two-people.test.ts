// Two people, one relay, and the command that people use: text, mail for somebody who is away, ticks, and a relay that is
// stopped and started between.
import { join } from "node:path";
import { expect, it } from "vitest";
import { ChatProcess } from "../support/chat-process.ts";
import { aFolder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";

it("Anna and Ben talk, Ben goes away, the relay is restarted, and Ben finds what Anna wrote meanwhile", async () => {
  await using folder = await aFolder();
  const data = join(folder.path, "relay");
  const first = await RelayProcess.start({ data });
  const { url: relay, port } = first;
  const chat = (user: string, other: string): ChatProcess =>
    new ChatProcess({ user, with: other, relay, store: join(folder.path, `${user}.db`) });

  const bens = chat("ben", "anna");
  await bens.line("connection online");
  await using anna = chat("anna", "ben");
  await anna.line("connection online");
  anna.type("hello ben");
  await anna.line("> 1 hello ben");
  await bens.line("< anna: hello ben");
  for (const tick of ["sent 1", "read 1"]) await anna.line(tick);
  bens.type("hello anna");
  await anna.line("< ben: hello anna");
  expect(await bens.end()).toEqual({ code: 0, signal: null });

  anna.type("are you there?", "never mind");
  for (const tick of ["sent 2", "sent 3"]) await anna.line(tick);
  expect(await first.stop()).toEqual({ code: 0, signal: null });
  await anna.line("connection offline");
  anna.type("the relay is away");
  await anna.line("> 4 the relay is away");
  expect(anna.lines.filter((line) => /^(?:delivered|read) [234]$|^sent 4$/.test(line))).toEqual([]);

  await using second = await RelayProcess.start({ data, port });
  await anna.line("sent 4");
  await using again = chat("ben", "anna");
  for (const text of ["are you there?", "never mind", "the relay is away"])
    await again.line(`< anna: ${text}`);
  await anna.line("read 4");
  for (const message of [1, 2, 3, 4]) {
    const ticks = anna.lines.filter(
      (line) => /^(?:sent|delivered|read) \d$/.test(line) && line.endsWith(` ${message}`),
    );
    // One receipt may say both: then the tick goes from sent to read at once.
    expect(["sent, read", "sent, delivered, read"]).toContain(
      ticks.map((line) => line.split(" ")[0]).join(", "),
    );
  }
  expect(again.lines.filter((line) => line.startsWith("<"))).toHaveLength(3);
  expect(await anna.end()).toEqual({ code: 0, signal: null });
  expect(await again.end()).toEqual({ code: 0, signal: null });
  expect(second.running).toBe(true);
});
