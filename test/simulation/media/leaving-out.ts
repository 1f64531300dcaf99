// Rules of the client left out: around its code, in what it keeps, sees and hears.
import { decodeAll } from "@lethe/protocol";
import type { CoreView } from "../../../client-lib/delivery/core.ts";
import type { Write } from "../../../client-lib/delivery/events.ts";
import { uploadRow } from "../../../client-lib/media/rows.ts";
import type { KnownDevice } from "./mail.ts";
import type { Answered, Asked } from "./door.ts";
import type { MediaRule } from "./rules.ts";

/** Which writes of a commit are made. */
export function keeping(off: MediaRule | undefined): (writes: readonly Write[]) => readonly Write[] {
  const without = (table: string) => (writes: readonly Write[]) =>
    writes.filter((write) => write.table !== table || write.value === undefined);
  if (off === "uploader.positions") return without("media-progress");
  if (off === "recipient.releaseOwed") return without("media-release");
  if (off !== "uploader.withdrawalKept") return (writes) => writes;
  return (writes) => writes.map((write) => (isEnd(write) ? { ...write, value: undefined } : write));
}

function isEnd({ table, value }: Write): boolean {
  return table === "media-upload" && value !== undefined && decodeAll(uploadRow, value).state === "ended";
}

/** What is seen of the core. */
export function seeing(off: MediaRule | undefined, view: CoreView): CoreView {
  if (off === "uploader.closeSettled") return { ...view, isPending: () => false };
  if (off !== "uploader.addAdded" && off !== "uploader.strikeRemoved") return view;
  const seen = new Map<string, Map<string, KnownDevice>>();
  const devices: CoreView["devices"] = (account, now) => {
    const known = view.devices(account, now);
    if (known === undefined) return undefined;
    if (off === "uploader.addAdded") {
      const first = seen.get(account) ?? new Map(known.map((device) => [device.address, device]));
      seen.set(account, first);
      return known.filter(({ address }) => first.has(address));
    }
    const all = seen.get(account) ?? new Map<string, KnownDevice>();
    seen.set(account, all);
    for (const device of known) all.set(device.address, device);
    return [...all.values()];
  };
  return { ...view, devices };
}

/** What a request is answered without the relay; requests that go with it are sent by `also`. */
export function hearing(
  off: MediaRule | undefined,
  asked: Asked,
  also: (asked: Asked) => void,
  now: number,
): Answered | undefined {
  const { method, path } = asked;
  if (off === "uploader.sayAfterReady" && path.endsWith("/finish")) {
    const json = { bytes: 0, state: "ready", parts: [], expires: now, now };
    return { status: 200, headers: {}, bytes: Buffer.from(JSON.stringify(json)) };
  }
  if (off === "recipient.releaseAfterDigest" && method === "GET" && path.includes("/parts/"))
    also({ ...asked, method: "POST", path: path.replace(/\/parts\/.*$/, "/release") });
  return undefined;
}
