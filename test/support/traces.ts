// Everything of an account that a relay keeps, by the bytes by which it could be known again in a file.
import { randomBytes } from "node:crypto";
import { PATHS } from "@lethe/protocol";
import { aPrekey, type Person } from "./person.ts";
import type { RelayProcess } from "./relay-process.ts";
import { sealed, submitTo, Wire } from "./wire.ts";

/** Gives an account that is registered prekeys, a login and mail that waits, and names what of all that lies in files. */
export async function tracesOf(
  person: Person,
  relay: RelayProcess,
): Promise<Readonly<Record<string, Uint8Array>>> {
  const [prekey, letter] = [randomBytes(24).toString("hex"), randomBytes(200)];
  const upload = {
    signed: aPrekey(prekey),
    lastResort: aPrekey(`l${prekey}`),
    oneTime: [aPrekey(`o${prekey}`)],
  };
  await person.request(relay, "PUT", PATHS.prekeys, upload);
  const device = await Wire.device(relay, person);
  await device.take("drained");
  await device.close();
  await using sender = await Wire.anonymous(relay);
  sender.send(submitTo(person, sealed(letter)));
  await sender.take("accepted");
  const { accessKeyHash } = person.registration;
  return {
    "the name": Buffer.from(person.name),
    "the account id": Buffer.from(person.account, "latin1"),
    "the account key": person.accountKey.public,
    "the device key": person.key.public,
    "the access key's hash": Buffer.from(accessKeyHash, "base64url"),
    "the prekeys": Buffer.from(prekey),
    "the mail": letter,
  };
}
