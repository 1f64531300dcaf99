// `npm run fuzz -- --minutes 60`: every parser of crypto/ under changed bytes for as long as asked. Prints how much of what
// was taken and refused; for a fault the bytes, and exit status 1.
import { parseArgs } from "node:util";
import { ready } from "../../../crypto/index.ts";
import { seededRandom } from "../support.ts";
import { check } from "./check.ts";
import { layers } from "./layers.ts";
import { mutate } from "./mutate.ts";
import { targets } from "./targets.ts";

const HELP = `npm run fuzz -- [options]

  --minutes M   how long (1)
  --seed S      first seed (the clock's)
`;

const { values } = parseArgs({
  options: { minutes: { type: "string" }, seed: { type: "string" }, help: { type: "boolean", short: "h" } },
});

/** What runs in turn: a decoder by the hundred, a layer behind a cipher by the few, as it is slower. */
interface Turn {
  readonly name: string;
  readonly example: Uint8Array;
  readonly times: number;
  readonly run: (bytes: Uint8Array) => boolean;
}

function turns(): Turn[] {
  const decoders = targets().map((target) => ({
    name: target.name,
    example: target.example,
    times: 200,
    run: (bytes: Uint8Array) => check(target, bytes),
  }));
  const behind = layers().map((layer) => ({
    name: layer.name,
    example: layer.example,
    times: 10,
    run: (bytes: Uint8Array) => {
      layer.check(bytes);
      return false;
    },
  }));
  return [...decoders, ...behind];
}

function fuzz(minutes: number, seed: number): void {
  const all = turns();
  const examples = all.map(({ example }) => example);
  const tally = new Map(all.map(({ name }) => [name, { tried: 0, taken: 0 }]));
  const end = performance.now() + minutes * 60_000;
  const random = seededRandom(seed);
  while (performance.now() < end)
    for (const turn of all) {
      const counted = tally.get(turn.name) ?? { tried: 0, taken: 0 };
      for (let i = 0; i < turn.times; i++) {
        counted.tried++;
        if (turn.run(mutate(turn.example, examples, random))) counted.taken++;
      }
    }
  for (const [name, { tried, taken }] of tally)
    process.stdout.write(
      `${name.padEnd(34)}${String(tried).padStart(10)} tried ${String(taken).padStart(9)} taken\n`,
    );
}

if (values.help === true) process.stdout.write(HELP);
else {
  await ready();
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
  process.stdout.write(`fuzz: --seed ${seed}\n`);
  try {
    fuzz(Number(values.minutes ?? 1), seed);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}
