// A process that works on a store until it is killed, and tells what it was answered: see process.thorough.test.ts.
import type { AccountId, DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import {
  type CapabilityMark,
  type Entry,
  type Envelope,
  type MediaId,
  type NodeId,
  openBackend,
} from "@lethe/queue";

export type Told =
  | { readonly is: "stored"; readonly ids: readonly string[] }
  | { readonly is: "removing"; readonly ids: readonly string[] }
  | { readonly is: "claimed"; readonly epoch: number }
  | { readonly is: "ready" | "releasing" | "ended" | "forgotten"; readonly media: MediaId };

const ADDRESS = "a-killed-process-x" as DeviceAddress;
const [folder, life] = process.argv.slice(2);
const tell = (told: Told): void => {
  process.send?.(told);
};

const backend = await openBackend({
  kind: "embedded",
  folder: folder ?? "",
  now: () => Date.now() as Time,
  limits: { envelopes: 1_000_000, bytes: 1_000_000_000 },
  report: () => undefined,
});

function envelope(n: number): Envelope {
  const id = `${life}-${n}`.padStart(16, "0") as EnvelopeId;
  // The tests that look later have a clock of their own, a few years ahead.
  return { id, kind: "pairwise", expiry: 2_000_000_000_000 as Time, ciphertext: Buffer.alloc(n % 700, n) };
}

async function append(): Promise<void> {
  for (let n = 0; ; n += 10) {
    const envelopes = Array.from({ length: 10 }, (_, i) => envelope(n + i));
    const owner = { node: "nobody" as NodeId, session: 1 };
    const [look] = await backend.mailbox.look([ADDRESS]);
    const suspect = look?.is === "seen" ? look.owner : owner;
    const [result] = await backend.mailbox.appendUnlessOwned([{ address: ADDRESS, suspect, envelopes }]);
    if (result?.is === "stored") tell({ is: "stored", ids: envelopes.map(({ id }) => id) });
  }
}

async function claim(): Promise<void> {
  for (let epoch = Number(life) * 1_000_000 + 1; ; epoch++) {
    const owner = { node: "node" as NodeId, session: epoch };
    const [result] = await backend.mailbox.claim([{ address: ADDRESS, owner, epoch }]);
    if (result?.is === "claimed") tell({ is: "claimed", epoch });
  }
}

async function remove(): Promise<void> {
  for (;;) {
    const [page] = await backend.mailbox.read([
      { address: ADDRESS, after: 0 as never, maxEntries: 40, maxBytes: 1_000_000 },
    ]);
    const entries: readonly Entry[] = page?.is === "page" ? page.entries.filter((_, i) => i % 4 === 3) : [];
    tell({ is: "removing", ids: entries.map(({ id }) => id) });
    await backend.mailbox.remove([{ address: ADDRESS, entries }]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function share(): Promise<void> {
  const uploadKey = "k".repeat(16) as CapabilityMark;
  const token = "t".repeat(16) as CapabilityMark;
  const times = { expires: 2_000_000_000_000 as Time, unfinished: 2_000_000_000_000 as Time };
  for (let n = 0; ; n++) {
    const media = `m-${life}-${n}`.padStart(16, "0") as MediaId;
    const upload = { media, account: "a".repeat(16) as AccountId, bytes: 1, uploadKey, ...times };
    await backend.media.begin(upload, { bytes: 1_000_000, blobs: 1_000_000 });
    await backend.media.tokens(media, uploadKey, { add: [token], strike: [], close: true });
    await backend.media.finish(media, uploadKey);
    tell({ is: "ready", media });
    if (n % 2 === 0) continue;
    tell({ is: "releasing", media });
    if ((await backend.media.release(media, token)) === "last") tell({ is: "ended", media });
    if (n % 4 === 1) continue;
    await backend.media.forget([media]);
    tell({ is: "forgotten", media });
  }
}

await Promise.all([append(), claim(), remove(), share()]);
