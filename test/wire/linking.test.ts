// The linking mailbox over HTTP: three messages from hand to hand, once, in order, for minutes; and what floods of it get.
import { randomBytes } from "node:crypto";
import { PATHS, toHex } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LINKING_REQUESTS_AT_ONCE, LINKINGS_AT_ONCE } from "../../relay/http/linking-routes.ts";
import { aRelay } from "../support/a-relay.ts";
import { BareHttp, requestBytes } from "../support/bare-http.ts";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { aFolder } from "../support/folder.ts";
import { type Answer, aSigningKey, ask, type At, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { within } from "../support/waiting.ts";

const NOTHING = Buffer.alloc(0);
const PATIENCE_MS = 20_000;
type Slot = "offer" | "join" | "grant";

/** One linking, as the relay sees it: Anna's primary device signs, the new device has nothing to sign with. */
class Linking {
  readonly name = randomBytes(16).toString("hex");
  readonly #anna: Person;

  constructor(anna: Person) {
    this.#anna = anna;
  }

  path(slot: Slot): string {
    return `${PATHS.linking}/${this.name}/${slot}`;
  }

  put(at: At, slot: Slot, message: Uint8Array = Buffer.from(slot)): Promise<Answer> {
    const body = { message: Buffer.from(message).toString("base64url") };
    if (slot !== "join") return this.#anna.request(at, "PUT", this.path(slot), body);
    return ask(at, "PUT", this.path(slot), Buffer.from(JSON.stringify(body)));
  }

  get(at: At, slot: Slot): Promise<Answer> {
    return ask(at, "GET", this.path(slot), NOTHING);
  }

  end(at: At): Promise<Answer> {
    return ask(at, "DELETE", `${PATHS.linking}/${this.name}`, NOTHING);
  }
}

const textOf = ({ body }: Answer): string => Buffer.from(String(body["message"]), "base64url").toString();

/** The whole story, the primary device at one place and the new one at another. */
async function linksFrom(primary: At, fresh: At): Promise<void> {
  const linking = new Linking(await Person.called("anna").register(primary));
  const offered = linking.get(fresh, "offer"); // asked for before it is there
  expect((await linking.put(primary, "offer")).status).toBe(200);
  expect(textOf(await within(PATIENCE_MS, "the offer", offered))).toBe("offer");
  const joined = linking.get(primary, "join");
  expect((await linking.put(fresh, "join")).status).toBe(200);
  expect(textOf(await within(PATIENCE_MS, "the join", joined))).toBe("join");
  const granted = linking.get(fresh, "grant");
  expect((await linking.put(primary, "grant")).status).toBe(200);
  expect(textOf(await within(PATIENCE_MS, "the grant", granted))).toBe("grant");
  expect(textOf(await linking.get(fresh, "grant"))).toBe("grant"); // the answer may have been lost
  expect((await linking.end(fresh)).status).toBe(204);
  expectProblem(await linking.get(primary, "grant"), "linking-ended");
  expectProblem(await linking.put(primary, "offer"), "linking-ended");
}

describe("a linking mailbox", () => {
  const relay = aRelay();
  const linking = async (): Promise<Linking> => new Linking(await Person.called("anna").register(relay.at));

  it("hands three messages over, to whoever waits for them, and ends", () => linksFrom(relay.at, relay.at));

  it("has one writer a slot: the same bytes again are taken, others are not", async () => {
    const one = await linking();
    for (const slot of ["offer", "join", "grant"] as const) {
      expect((await one.put(relay.at, slot)).status).toBe(200);
      expect((await one.put(relay.at, slot)).status).toBe(200);
      expectProblem(await one.put(relay.at, slot, Buffer.from("another")), "linking-taken");
      expect(textOf(await one.get(relay.at, slot))).toBe(slot);
    }
  });

  it("is filled in its order, and is none without an offer", async () => {
    const one = await linking();
    expectProblem(await one.put(relay.at, "join"), "linking-ended");
    expectProblem(await one.put(relay.at, "grant"), "linking-ended");
    for (const slot of ["join", "grant"] as const)
      expectProblem(await one.get(relay.at, slot), "linking-ended");
    await one.put(relay.at, "offer");
    expectProblem(await one.put(relay.at, "grant"), "linking-early");
  });

  it("takes an offer and a grant of a registered device only", async () => {
    const one = await linking();
    const body = { message: "AAAA" };
    const bytes = Buffer.from(JSON.stringify(body));
    for (const slot of ["offer", "grant"] as const) {
      const put = (person: Person, saying = {}): Promise<Answer> =>
        person.request(relay.at, "PUT", one.path(slot), body, saying);
      expectProblem(await ask(relay.at, "PUT", one.path(slot), bytes), "unauthorized");
      expectProblem(await put(Person.called("nobody")), "unauthorized");
      const anna = await Person.called("anna").register(relay.at);
      expectProblem(await put(anna, { key: aSigningKey().secret }), "unauthorized");
    }
    expectProblem(await one.put(relay.at, "join"), "linking-ended");
  });

  it("takes messages of 1 to 2,048 bytes, and names of 32 hexadecimal digits", async () => {
    const one = await linking();
    expectProblem(await one.put(relay.at, "offer", NOTHING), "bad-request");
    expectProblem(await one.put(relay.at, "offer", randomBytes(2_049)), "bad-request");
    const longest = randomBytes(2_048);
    expect((await one.put(relay.at, "offer", longest)).status).toBe(200);
    const { body } = await one.get(relay.at, "offer");
    expect(body["message"]).toBe(longest.toString("base64url"));
    for (const name of ["x", "A".repeat(32), "0".repeat(31), "0".repeat(33)])
      for (const [method, path] of [
        ["GET", `${PATHS.linking}/${name}/offer`],
        ["DELETE", `${PATHS.linking}/${name}`],
      ] as const)
        expectProblem(await ask(relay.at, method, path, NOTHING), "bad-request");
  });

  it("that nobody fills answers after its wait with nothing", async () => {
    const one = await linking();
    const began = performance.now();
    expect((await one.get(relay.at, "offer")).status).toBe(204);
    expect(performance.now() - began).toBeGreaterThan(9_000);
  });

  it("that ends answers whoever waits for it", async () => {
    const one = await linking();
    await one.put(relay.at, "offer");
    const waits = one.get(relay.at, "join");
    await one.end(relay.at);
    expectProblem(await within(PATIENCE_MS, "the end", waits), "linking-ended");
  });

  it("is made ten times at once by an account, and once a minute after that; other accounts go on", async () => {
    const anna = await Person.called("anna").register(relay.at);
    const offer = (): Promise<Answer> => new Linking(anna).put(relay.at, "offer");
    for (let i = 0; i < LINKINGS_AT_ONCE; i++) expect((await offer()).status).toBe(200);
    const refused = await offer();
    expectProblem(refused, "rate-limited");
    expect(Number(refused.body["retryAfter"])).toBeGreaterThan(50_000);
    expect((await (await linking()).put(relay.at, "offer")).status).toBe(200);
  });
});

describe("a flood of unsigned requests for linking mailboxes", () => {
  it("is refused above its rate, and keeps nobody at another address from linking", async () => {
    await using place = await aFolder();
    await using relay = await RelayProcess.start({ data: place.path, flags: ["--limit-local", "on"] });
    const get = async (from: string, slot: Slot): Promise<number> => {
      const http = new BareHttp(relay.port, from);
      const path = `${PATHS.linking}/${randomBytes(16).toString("hex")}/${slot}`;
      const { answers } = await http.exchange(requestBytes("GET", path));
      http.destroy();
      return answers[0]?.status ?? 0;
    };
    const statuses: number[] = [];
    for (let i = 0; i < LINKING_REQUESTS_AT_ONCE + 40; i++) statuses.push(await get("127.0.0.2", "join"));
    expect(new Set(statuses)).toEqual(new Set([410, 429]));
    expect(statuses.slice(0, LINKING_REQUESTS_AT_ONCE)).not.toContain(429);
    expect(await get("127.0.0.3", "join")).toBe(410);
    await linksFrom(relay, relay);
  });
});

describe("what a relay says of a linking", () => {
  it("is nothing: neither the mailbox nor the account stands in its log, at its most talkative", async () => {
    await using place = await aFolder();
    await using relay = await RelayProcess.start({ data: place.path, log: "debug" });
    const anna = await Person.called("anna").register(relay);
    const one = new Linking(anna);
    await one.put(relay, "offer");
    await one.put(relay, "offer", Buffer.from("another"));
    await one.get(relay, "offer");
    await one.end(relay);
    await relay.stop();
    const said = relay.output.toString("latin1");
    expect(said).toContain("listening");
    for (const secret of [
      one.name,
      Buffer.from(one.name, "hex").toString("latin1"),
      toHex(anna.account),
      anna.name,
    ])
      expect(said).not.toContain(secret);
  });
});

describe("a linking mailbox of two nodes", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("linking") });
  });
  afterAll(() => fleet[Symbol.asyncDispose]());

  it("hands three messages over from node to node, either way", async () => {
    await linksFrom(fleet.node(0), fleet.node(1));
    await linksFrom(fleet.node(1), fleet.node(0));
  });

  it("has one writer a slot, whichever node they ask, and is refused with the same words", async () => {
    const one = new Linking(await Person.called("anna").register(fleet.node(0)));
    expectProblem(await one.put(fleet.node(1), "join"), "linking-ended");
    await one.put(fleet.node(0), "offer");
    expectProblem(await one.put(fleet.node(1), "grant"), "linking-early");
    expectProblem(await one.put(fleet.node(1), "offer", Buffer.from("another")), "linking-taken");
    expect((await one.put(fleet.node(1), "offer")).status).toBe(200);
  });
});
