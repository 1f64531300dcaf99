// One repetition of the measurement of media, for `npm run bench`: prints one line of JSON. The bare calls of libsodium, with
// copying in and out, and the package's sealer and opener take turns with one file, so that what else the machine does meanwhile
// troubles all alike. `--scale` shrinks or stretches the rounds.
import { parseArgs } from "node:util";
import {
  makeMediaKey,
  MediaOpener,
  type MediaPosition,
  MediaSealer,
  type MediaShape,
  ready,
  systemRandom,
} from "../../../crypto/index.ts";
import { MEDIA_DIGEST_BYTES, mediaDigest } from "../../../crypto/media.ts";
import { CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, STREAM_STATE_BYTES } from "../../../crypto/secretstream.ts";
import { lib } from "../../../crypto/sodium.ts";
import { fileOf, openParts } from "../media-support.ts";

const MIB = 1_048_576;
/** With its prefix it is 16 parts of 2 MiB, and nothing is padding. */
const FILE = fileOf(32 * MIB - 8);
const WARM_UP = 2;

interface Cost {
  /** Of the process, its other threads included. */
  readonly cpuUs: number;
  /** Of the thread that seals and opens. */
  readonly threadUs: number;
  readonly wallMs: number;
}

const sum = ({ user, system }: NodeJS.CpuUsage): number => user + system;

async function costOf(run: () => Promise<unknown>): Promise<Cost> {
  const [all, thread, began] = [process.cpuUsage(), process.threadCpuUsage(), performance.now()];
  await run();
  const wallMs = performance.now() - began;
  return { cpuUs: sum(process.cpuUsage(all)), threadUs: sum(process.threadCpuUsage(thread)), wallMs };
}

/** A loop of bare pushes: a chunk is copied in, sealed, and copied out, as libsodium-wrappers does. Nothing is wiped. */
function bareCalls(): () => Promise<void> {
  const raw = lib();
  const places = [STREAM_STATE_BYTES, CHUNK_BYTES, CHUNK_BYTES + CHUNK_OVERHEAD_BYTES, 24, 32];
  const [state = 0, m = 0, c = 0, header = 0, key = 0] = places.map((length) => raw._malloc(length));
  return () => {
    raw._crypto_secretstream_xchacha20poly1305_init_pull(state, header, key);
    for (let at = 0; at < FILE.length; at += CHUNK_BYTES) {
      const chunk = FILE.subarray(at, at + CHUNK_BYTES);
      raw.HEAPU8.set(chunk, m);
      const ended = at + CHUNK_BYTES >= FILE.length ? 3 : 0;
      raw._crypto_secretstream_xchacha20poly1305_push(state, c, 0, m, chunk.length, 0, 0, 0, 0, ended);
      raw.HEAPU8.slice(c, c + chunk.length + CHUNK_OVERHEAD_BYTES);
    }
    return Promise.resolve();
  };
}

const key = makeMediaKey(systemRandom);

/** As an upload does it: a part is sealed while the digest of the one before is made, and every digest is waited for. */
async function seal(give: (part: Uint8Array) => void): Promise<Uint8Array> {
  const sealer = new MediaSealer(key, FILE.length);
  let before: Promise<MediaPosition> = sealer.position();
  for (let at = 0; !sealer.done; ) {
    const next = FILE.subarray(at, at + sealer.wants);
    give(sealer.seal(next));
    at += next.length;
    await before;
    before = sealer.position();
  }
  return (await before).digest;
}

/** The digest alone. */
async function digest(parts: readonly Uint8Array[]): Promise<void> {
  let before: Uint8Array = new Uint8Array(MEDIA_DIGEST_BYTES);
  for (const part of parts) before = await mediaDigest(before, part);
}

async function open(shape: MediaShape, parts: readonly Uint8Array[]): Promise<void> {
  const opener = new MediaOpener(key, shape);
  for (const part of parts) if (typeof (await opener.open(part)) === "string") throw new Error("a fault");
  if (!opener.done) throw new Error("not opened");
}

/** The best round of each: what else the machine does only adds. */
const megabytesPerSecond = (costs: readonly Cost[]): number =>
  FILE.length / 1e3 / Math.min(...costs.map(({ wallMs }) => wallMs));
const cpuPerMib = (costs: readonly Cost[], of: "cpuUs" | "threadUs" = "cpuUs"): number =>
  Math.min(...costs.map((cost) => cost[of])) / (FILE.length / MIB);

await ready();
const { values } = parseArgs({ options: { scale: { type: "string", default: "1" } } });
const rounds = Math.max(3, Math.round(25 * Number(values.scale)));
const parts: Uint8Array[] = [];
const shape = { size: FILE.length, digest: await seal((part) => void parts.push(part)) };
const opened = await openParts(new MediaOpener(key, shape), parts);
if (!opened.data.equals(FILE)) throw new Error("another file");

const bare = bareCalls();
const NAMES = ["bare", "seal", "digest", "open"] as const;
const costs: Record<(typeof NAMES)[number], Cost[]> = { bare: [], seal: [], digest: [], open: [] };
for (let i = -WARM_UP; i < rounds; i++) {
  const round = {
    bare: await costOf(bare),
    seal: await costOf(() => seal(() => undefined)),
    digest: await costOf(() => digest(parts)),
    open: await costOf(() => open(shape, parts)),
  };
  if (i >= 0) for (const name of NAMES) costs[name].push(round[name]);
}
const measured = {
  bareRate: megabytesPerSecond(costs.bare),
  sealRate: megabytesPerSecond(costs.seal),
  sealShare: megabytesPerSecond(costs.seal) / megabytesPerSecond(costs.bare),
  openRate: megabytesPerSecond(costs.open),
  threadShare: cpuPerMib(costs.bare, "threadUs") / cpuPerMib(costs.seal, "threadUs"),
  bareCpu: cpuPerMib(costs.bare),
  sealCpu: cpuPerMib(costs.seal),
  digestCpu: cpuPerMib(costs.digest),
  openCpu: cpuPerMib(costs.open),
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
