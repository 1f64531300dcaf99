// A device that is removed through one node, with its connection at another: within 10 s it has nothing left at either. On
// Redis with two nodes, and on one node with the embedded store.
import { DEFAULT_MAILBOX_LIMITS, openBackend } from "@lethe/queue";
import { OPERATOR_PATHS, PATHS, problemOf } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { aPrekey, type Answer, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import type { RelayProcess } from "../support/relay-process.ts";
import { eventually, within } from "../support/waiting.ts";
import { anId, sealed, submitTo, Wire } from "../support/wire.ts";

/** Within which a removed device has lost everything, ms. */
const REMOVED_MS = 10_000;

interface Family {
  readonly phone: Person;
  /** Connected when it is removed. */
  readonly tablet: Person;
  /** Away when it is removed, with mail that waits for it. */
  readonly laptop: Person;
}

const put = (phone: Person, at: RelayProcess, version: number, devices: Person[]): Promise<Answer> =>
  phone.request(at, "PUT", PATHS.deviceList, phone.listOf(version, devices));

/** A phone with two linked devices, each with prekeys of its own. */
async function family(at: RelayProcess): Promise<Family> {
  const phone = await Person.called("anna").register(at);
  const [tablet, laptop] = [new Person(phone.name, 2, phone), new Person(phone.name, 3, phone)];
  expect((await put(phone, at, 2, [phone, tablet, laptop])).status).toBe(200);
  for (const device of [phone, tablet, laptop]) {
    device.listVersion = 2;
    const keys = { signed: aPrekey("s"), lastResort: aPrekey("l"), oneTime: [aPrekey("o")] };
    expect((await device.request(at, "PUT", PATHS.prekeys, keys)).status).toBe(200);
  }
  return { phone, tablet, laptop };
}

const asksPrekeys = ({ account, device, accessKey }: Person, request: number) =>
  ({
    frame: "ask-prekeys",
    request,
    account,
    device,
    accessKey,
    requestId: Buffer.from(anId(), "latin1"),
  }) as const;

/** The same story wherever the removal is asked for, and wherever the device is. */
async function loses(here: RelayProcess, there: RelayProcess): Promise<Family> {
  const { phone, tablet, laptop } = await family(here);
  const nodes = here === there ? [here] : [here, there];
  await using connected = await Wire.device(there, tablet);
  await connected.take("drained");
  const senders = await Promise.all(nodes.map((node) => Wire.anonymous(node)));
  for (const sender of senders) {
    sender.send(submitTo(laptop, sealed("waits for the laptop"))); // and both nodes have the account at hand
    await sender.take("accepted");
    sender.send(asksPrekeys(laptop, 1));
    await sender.take("has-prekeys");
  }
  const [sender] = senders as [Wire];
  sender.send(submitTo(phone, sealed("waits for the phone")));
  await sender.take("accepted");
  const underWay = sealed("on its way to the tablet");
  sender.send(submitTo(tablet, underWay));
  await connected.take("push"); // which it never acknowledges

  const began = performance.now();
  expect((await put(phone, here, 3, [phone])).status).toBe(200);
  expect(await within(REMOVED_MS, "the end of its connection", connected.ending())).toEqual({
    code: "device-removed",
    status: 4404,
  });
  expect(await sender.refusal()).toMatchObject({ code: "no-device", ids: [underWay.id] });
  for (const [i, node] of nodes.entries()) {
    const asking = senders[i] as Wire;
    asking.send(asksPrekeys(laptop, 9));
    await asking.take("ask-refused");
    const stale = await eventually(REMOVED_MS, "that the list is an old one", async () => {
      asking.send(submitTo(laptop, sealed("with the old list")));
      const answer = await asking.next();
      // Never accepted: where the list is not known yet, the mailbox is gone already.
      if (answer.frame === "refused") expect(problemOf(answer.code)).toBe("no-device");
      else return answer;
      return undefined;
    });
    expect(stale).toMatchObject({ frame: "stale-list", version: 3, missing: [1], extra: [3] });
    for (const device of [tablet, laptop]) {
      await using back = await Wire.raw(node, "device");
      device.epoch++;
      await back.prove(device);
      expect(await back.ending()).toMatchObject({ code: "authentication-failed" });
      expectProblem(await device.request(node, "GET", PATHS.prekeys), "unauthorized");
    }
    expectProblem(await phone.request(node, "GET", `${PATHS.prekeys}/3`), "not-found");
  }
  expect(performance.now() - began).toBeLessThan(REMOVED_MS);
  for (const each of senders) await each.close();
  return { phone, tablet, laptop };
}

describe("a removed device", () => {
  const relay = aRelay();

  it("loses connection, mailbox, prekeys and login at once where one process keeps everything", async () => {
    const { phone } = await loses(relay.at, relay.at);
    await using device = await Wire.device(relay.at, phone);
    await device.take("push"); // its own mail is as it was
    expect(
      (await relay.admin("GET", `${OPERATOR_PATHS.adminAccounts}/${phone.name}`)).body["devices"],
    ).toHaveLength(1);
  });
});

describe("a removed device of two nodes", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("removed devices") });
  });
  afterAll(() => fleet[Symbol.asyncDispose]());

  it("loses connection, mailbox, prekeys and login at both, through whichever it is removed", async () => {
    const limits = DEFAULT_MAILBOX_LIMITS;
    const { url } = fleet.redis;
    const backend = await openBackend({ kind: "redis", url, replicas: 0, limits, report: () => undefined });
    try {
      for (const [here, there] of [
        [fleet.node(0), fleet.node(1)],
        [fleet.node(1), fleet.node(0)],
      ] as const) {
        const { phone, tablet, laptop } = await loses(here, there);
        const looks = await backend.mailbox.look([phone, tablet, laptop].map(({ address }) => address));
        expect(looks).toMatchObject([{ is: "seen", waiting: 1 }, { is: "no-device" }, { is: "no-device" }]);
      }
    } finally {
      await backend.close();
    }
  });
});
