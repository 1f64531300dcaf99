// A process with the links of one node and nothing else, for tests: told over IPC which nodes live and what to send, it
// tells what its links do. Always true: it ends when whoever started it is gone.
import type { DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { LinkFrame } from "../../relay/delivery/types.ts";
import { openLinks } from "../../relay/link/open.ts";

export interface LinkTask {
  readonly id: string;
  readonly secret: string;
  /** What it publishes; where it listens, if it is empty. */
  readonly address: string;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

export type LinkOrder =
  | { readonly alive: readonly (readonly [id: string, address: string])[] }
  /** Which nodes live, for whoever asks, without a round of calls. */
  | { readonly known: readonly (readonly [id: string, address: string])[] }
  | { readonly open: string }
  /** Offers numbered from the last one on, so many bytes each. */
  | { readonly send: string; readonly count: number; readonly bytes: number }
  | { readonly asked: number };

export type LinkNews =
  | { readonly is: "listening"; readonly port: number }
  | { readonly is: "up" | "down"; readonly peer: string }
  | { readonly is: "ended"; readonly why: string }
  | { readonly is: "got"; readonly from: string; readonly numbers: readonly number[] }
  | { readonly is: "clocks"; readonly asked: number; readonly clocks: readonly (number | undefined)[] };

const task = JSON.parse(process.argv[2] ?? "") as LinkTask;
let known: ReadonlyMap<NodeId, string> = new Map();
let got: { from: string; numbers: number[] } | undefined;
let turn = false;
let sent = 0;

function tell(news: LinkNews): void {
  process.send?.(news);
}

function schedule(): void {
  if (turn) return;
  turn = true;
  setImmediate(() => {
    turn = false;
    links.flush();
    if (got !== undefined) tell({ is: "got", ...got });
    got = undefined;
  });
}

function take(from: string, frame: LinkFrame): void {
  if (frame.is !== "offer") return;
  if (got !== undefined && got.from !== from) tell({ is: "got", ...got });
  if (got?.from !== from) got = { from, numbers: [] };
  for (const { expiry } of frame.envelopes) got.numbers.push(expiry);
  schedule();
}

const { links, listening } = await openLinks({
  id: task.id as NodeId,
  secret: task.secret,
  listen: {
    host: "127.0.0.1",
    port: 0,
    tls:
      task.tls === undefined
        ? undefined
        : { cert: Buffer.from(task.tls.cert), key: Buffer.from(task.tls.key) },
  },
  address: task.address,
  ca: task.tls === undefined ? undefined : Buffer.from(task.tls.ca),
  addresses: () => Promise.resolve(known),
  instant: () => performance.now(),
  now: () => Date.now(),
  sessions: () => 7,
  port: {
    up: (peer) => tell({ is: "up", peer }),
    down: (peer) => tell({ is: "down", peer }),
    delivery: take,
    notice: () => undefined,
    turn: schedule,
    ended: (why) => tell({ is: "ended", why }),
  },
});
tell({ is: "listening", port: listening });
setInterval(() => {
  links.tick();
  schedule();
}, 50);

function offers(peer: NodeId, count: number, bytes: number): void {
  for (let i = 0; i < count; i++)
    links.send(peer, {
      is: "offer",
      owner: { node: peer, session: 1 },
      address: "A".repeat(18) as DeviceAddress,
      envelopes: [
        {
          id: "i".repeat(16) as EnvelopeId,
          kind: "pairwise",
          expiry: ++sent as Time,
          ciphertext: new Uint8Array(bytes),
        },
      ],
    });
}

process.on("message", (order: LinkOrder) => {
  if ("known" in order) known = new Map(order.known as [NodeId, string][]);
  if ("alive" in order) {
    known = new Map(order.alive as [NodeId, string][]);
    links.alive(known);
  }
  if ("open" in order) links.open(order.open as NodeId);
  if ("send" in order) offers(order.send as NodeId, order.count, order.bytes);
  if ("asked" in order)
    tell({
      is: "clocks",
      asked: order.asked,
      clocks: links.standing().links.map((told) => told?.clockAhead),
    });
});
process.on("disconnect", () => process.exit(1));
