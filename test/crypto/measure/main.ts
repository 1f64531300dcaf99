// One repetition of the cryptography's measurements, for `npm run bench`: prints one line of JSON, CPU µs a message or as
// the names say. `--scale` shrinks or stretches the counts.
import { parseArgs } from "node:util";
import Olm from "@matrix-org/olm";
import { ready } from "../../../crypto/index.ts";
import { firstMessageCost, forgedHeaderCost, jumpCost, ratchetCost, sealedCost, startCost } from "./ours.ts";
import { olmCost, olmSetUpCost, twinCost } from "./peers.ts";

const { values } = parseArgs({ options: { scale: { type: "string", default: "1" } } });
const times = (count: number): number => Math.max(10, Math.round(count * Number(values.scale)));

await ready();
await Olm.init();

/** 256 bytes, in ASCII, so that libolm's strings are as long. */
const text = "0123456789abcdef".repeat(16);
const plain = new TextEncoder().encode(text);

const olmSetUp = olmSetUpCost(times(300));
const measured = {
  oneWay: ratchetCost(times(20_000), plain, false),
  olmOneWay: olmCost(times(10_000), text, false),
  pingPong: ratchetCost(times(2_000), plain, true),
  olmPingPong: olmCost(times(1_000), text, true),
  sealedOneWay: sealedCost(times(2_000), plain, false),
  twinOneWay: twinCost(times(200), plain, false),
  sealedPingPong: sealedCost(times(2_000), plain, true),
  twinPingPong: twinCost(times(200), plain, true),
  start: startCost(times(500)),
  olmStart: olmSetUp.start,
  firstMessage: firstMessageCost(times(500), plain),
  olmFirstMessage: olmSetUp.accept,
  forged: forgedHeaderCost(times(20_000), plain),
  jump: jumpCost(times(10)) / 1e3,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
