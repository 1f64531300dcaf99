// `node bench/profile.ts FILE.cpuprofile`: what cost the most in a profile taken with `--profile`, by function and by
// file, in shares of the time that the thread was busy.
import { readFileSync } from "node:fs";

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ROWS = 45;
const NOT_BUSY = new Set(["(idle)", "(root)"]);

function shares(profile: Profile, key: (frame: Profile["nodes"][number]["callFrame"]) => string): string[] {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const spent = new Map<string, number>();
  let busy = 0;
  profile.samples.forEach((id, i) => {
    const frame = frames.get(id);
    if (frame === undefined || NOT_BUSY.has(frame.functionName)) return;
    const delta = profile.timeDeltas[i] ?? 0;
    busy += delta;
    spent.set(key(frame), (spent.get(key(frame)) ?? 0) + delta);
  });
  return [...spent]
    .sort((a, b) => b[1] - a[1])
    .slice(0, ROWS)
    .map(([name, time]) => `${((time / busy) * 100).toFixed(1).padStart(6)} %  ${name}`);
}

const short = (url: string): string =>
  url.replace(/^file:\/\/.*?\/(?=[\w@-]+(?:\/[\w.-]+)*$)/, "").slice(-60);
const [file] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write("usage: node bench/profile.ts FILE.cpuprofile\n");
  process.exit(2);
}
const profile = JSON.parse(readFileSync(file, "utf8")) as Profile;
process.stdout.write(
  `By function\n${shares(profile, (f) => `${f.functionName === "" ? "(anonymous)" : f.functionName}  ${short(f.url)}:${f.lineNumber + 1}`).join("\n")}\n`,
);
process.stdout.write(
  `\nBy file\n${shares(profile, (f) => (f.url === "" ? f.functionName : short(f.url))).join("\n")}\n`,
);
