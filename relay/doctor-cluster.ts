// What is wrong with the store that nodes share, and with the ways between the nodes. Always true: it takes no lease, so that
// no node sees it, and changes nothing in the store.
import { connect } from "node:net";
import { type Backend, openBackend, StoreOpenError } from "@lethe/queue";
import { doubtful, type Finding, well, wrong } from "./finding.ts";
import type { Settings } from "./settings.ts";

const PATIENCE_MS = 3_000;
/** Clocks that are further apart are doubtful, ms. */
const APART_MS = 1_000;

export async function examineCluster(settings: Settings): Promise<Finding[]> {
  const { store: url, storeReplicas: replicas, mailboxEnvelopes: envelopes, mailboxBytes: bytes } = settings;
  let backend: Backend;
  try {
    const limits = { envelopes, bytes };
    backend = await openBackend({
      kind: "redis",
      url,
      replicas,
      limits,
      report: () => undefined,
      commandMs: PATIENCE_MS,
    });
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    return [
      wrong("store", error.message, "see that it runs and is reached from here, or give another --store"),
    ];
  }
  try {
    return [...(await store(backend)), ...(await clock(backend)), ...(await nodes(backend))];
  } finally {
    await backend.close();
  }
}

async function store(backend: Backend): Promise<Finding[]> {
  const doubts = await backend.doubts();
  if (doubts.length === 0) return [well("store", "reached, and set as it should be")];
  return doubts.map(({ is, says, mend }) => (is === "broken" ? wrong : doubtful)("store", says, mend));
}

/** Only the store's own clock decides when mail expires and leases end; people see the machines'. */
async function clock(backend: Backend): Promise<Finding[]> {
  const began = performance.now();
  const theirs = await backend.clock();
  const took = performance.now() - began;
  const apart = Math.round(theirs - (Date.now() - took / 2));
  return Math.abs(apart) <= APART_MS
    ? [well("clock", `${Math.abs(apart)} ms from the store's`)]
    : [doubtful("clock", `${Math.abs(apart)} ms from the store's`, "set the clocks by NTP")];
}

async function nodes(backend: Backend): Promise<Finding[]> {
  const addresses = [...(await backend.leases.addresses()).values()];
  if (addresses.length === 0) return [well("nodes", "none runs yet")];
  const reached = await Promise.all(addresses.map((address) => isReached(address)));
  const away = addresses.filter((_, i) => reached[i] !== true);
  if (away.length === 0) return [well("nodes", `${addresses.length} live, all are reached from here`)];
  return [
    doubtful(
      "nodes",
      `of ${addresses.length} that live, these are not reached from here: ${away.join(", ")}`,
      "see that --link-host listens where --link-address points, and that nothing is in between",
    ),
  ];
}

function isReached(address: string): Promise<boolean> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port),
      timeout: PATIENCE_MS,
    });
    const done = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once("connect", () => done(true));
    socket.once("timeout", () => done(false));
    socket.once("error", () => done(false));
  });
}
