// The rooms of the house and what each may import: the table of the architecture, held against every source file and
// every package.json. Also what holds for all code: file lengths, no `any`, exact versions.
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, relative, sep } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

/** The table: who imports which rooms. Tests may import anything, benchmarks the public entry points. */
const ROOMS = {
  protocol: { package: "@lethe/protocol", imports: [] },
  crypto: { package: "@lethe/crypto", imports: ["protocol"] },
  queue: { package: "@lethe/queue", imports: ["protocol"] },
  relay: { package: "@lethe/relay", imports: ["protocol", "queue"] },
  "client-lib": { package: "@lethe/client", imports: ["protocol", "crypto"] },
  demo: { package: "@lethe/demo", imports: ["client-lib"] },
  bench: { package: "@lethe/bench", imports: ["protocol", "crypto", "queue", "relay", "client-lib"] },
} as const satisfies Record<string, { package: string; imports: readonly string[] }>;

type Room = keyof typeof ROOMS;
const rooms = Object.keys(ROOMS) as Room[];
/** What people install: the benchmarks and the example page are not part of it. */
const products = rooms.filter((room) => room !== "bench" && room !== "demo");

/** Code that decides and does nothing else: no clock, no chance, no input or output. */
const PURE = ["protocol", "crypto", join("relay", "delivery"), join("client-lib", "delivery")];

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

interface Import {
  readonly of: string;
  readonly typesOnly: boolean;
}

const IGNORED = new Set(["node_modules", "dist", "generated", ".artifacts", "results"]);

function sourcesIn(folder: string): Source[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return IGNORED.has(entry.name) ? [] : sourcesIn(path);
    if (!/\.(?:ts|js|mjs)$/.test(entry.name)) return [];
    const text = readFileSync(join(root, path), "utf8");
    return [{ path, text, imports: importsOf(text) }];
  });
}

/** Static imports and exports, imports for their effect, and dynamic ones of a literal. */
function importsOf(text: string): Import[] {
  const statement = /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm;
  const dynamic = /\bimport\(\s*"([^"]+)"\s*\)/g;
  const found = [...text.matchAll(statement)].map((m) => ({ of: m[2] ?? "", typesOnly: m[1] !== undefined }));
  return [...found, ...[...text.matchAll(dynamic)].map((m) => ({ of: m[1] ?? "", typesOnly: false }))];
}

const sources = new Map<string, Source[]>([...rooms, "test"].map((room) => [room, sourcesIn(room)]));
const all = [...sources.values()].flat();
const of = (room: string): Source[] => sources.get(room) ?? [];
const isRelative = (name: string): boolean => name.startsWith(".");
/** `@scope/name/inside` is of the package `@scope/name`. */
const packageOf = (name: string): string =>
  name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
const manifest = (room: string): Manifest =>
  JSON.parse(readFileSync(join(root, room, "package.json"), "utf8")) as Manifest;

/** The lines that break a rule, as `file: what`. */
function breaches(files: readonly Source[], rule: (source: Source) => readonly string[]): string[] {
  return files.flatMap((source) => rule(source).map((what) => `${source.path}: ${what}`));
}

describe("the test of the architecture", () => {
  it("sees every kind of import", () => {
    const text = `import { a } from "a";\nimport type { b } from "b";\nimport "c";\nexport * from "d";\nexport {\n  e,\n} from "e";\nconst f = await import("f");\n`;
    expect(importsOf(text).map((i) => i.of)).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(
      importsOf(text)
        .filter((i) => i.typesOnly)
        .map((i) => i.of),
    ).toEqual(["b"]);
    for (const room of rooms) expect(of(room).length).toBeGreaterThan(0);
  });
});

describe.each(rooms)("%s", (room) => {
  it("is the package that it is said to be", () => {
    expect(manifest(room).name).toBe(ROOMS[room].package);
  });

  it("imports the rooms that it may, and no others", () => {
    const allowed: string[] = ROOMS[room].imports.map((other) => ROOMS[other].package);
    expect(
      breaches(of(room), ({ imports }) =>
        imports.map((i) => i.of).filter((name) => name.startsWith("@lethe/") && !allowed.includes(name)),
      ),
    ).toEqual([]);
  });

  it("reaches into no other folder", () => {
    expect(
      breaches(of(room), ({ path, imports }) =>
        imports
          .map((i) => i.of)
          .filter((name) => isRelative(name) && relative(room, join(path, "..", name)).startsWith("..")),
      ),
    ).toEqual([]);
  });

  it("declares in its package.json what it imports, and nothing else", () => {
    const imported = of(room)
      .flatMap(({ imports }) => imports.map((i) => i.of))
      .filter((name) => !isRelative(name) && !isBuiltin(name))
      .map(packageOf)
      .filter((name) => manifest(room).devDependencies?.[name] === undefined); // a page is built, and then needs none
    const declared = Object.keys(manifest(room).dependencies ?? {});
    if (room === "bench") for (const name of new Set(imported)) expect(declared).toContain(name);
    else expect(declared.toSorted()).toEqual([...new Set(imported)].toSorted());
  });
});

describe("the relay", () => {
  it("cannot open an envelope: nothing of cryptography or the client is in its reach, nor in the queue's", () => {
    const forbidden = /libsodium|@lethe\/(?:crypto|client)/;
    for (const room of ["relay", "queue"])
      expect(
        breaches(of(room), ({ imports }) => imports.map((i) => i.of).filter((n) => forbidden.test(n))),
      ).toEqual([]);
  });
});

describe("libsodium", () => {
  it("has one importer, in crypto", () => {
    const importers = products
      .flatMap(of)
      .filter(({ imports }) => imports.some((i) => i.of.startsWith("libsodium")));
    expect(importers.map(({ path }) => path.split(sep)[0])).toEqual(["crypto"]);
  });
});

describe("code that only decides", () => {
  const pure = all.filter(({ path }) => PURE.some((folder) => path.startsWith(folder + sep)));

  it("imports no part of the platform", () => {
    expect(breaches(pure, ({ imports }) => imports.map((i) => i.of).filter(isBuiltin))).toEqual([]);
  });

  it("reads no clock, draws no chance, sets no timer and prints nothing", () => {
    const impure =
      /\b(?:Date\.now|new Date\(\)|performance\.now|Math\.random|setTimeout|setInterval|setImmediate|console\.|process\.)/g;
    expect(breaches(pure, ({ text }) => [...text.matchAll(impure)].map((m) => m[0]))).toEqual([]);
  });

  it("takes only types from the queue", () => {
    expect(
      breaches(pure, ({ imports }) =>
        imports.filter((i) => i.of === "@lethe/queue" && !i.typesOnly).map((i) => i.of),
      ),
    ).toEqual([]);
  });
});

describe("all code", () => {
  it("is in files of fewer than 500 lines", () => {
    const long = all.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
    expect(long.filter(({ lines }) => lines >= 500)).toEqual([]);
  });

  it("knows no `any`", () => {
    const any = /(?::|\bas|<)\s*any\b|\bany(?:\[\]|>)/g;
    const withoutComments = (text: string): string =>
      text.replace(/\/\/.*$|\/\*[^]*?\*\//gm, "").replace(/"[^"\n]*"|`[^`]*`/g, '""');
    expect("const x: any = y as any; const z: any[] = []".match(any)).toHaveLength(3); // the rule finds what it is for
    expect(breaches(all, ({ text }) => [...withoutComments(text).matchAll(any)].map((m) => m[0]))).toEqual(
      [],
    );
  });

  it("imports files by their whole name", () => {
    expect(
      breaches(all, ({ imports }) =>
        imports.map((i) => i.of).filter((name) => isRelative(name) && !/\.(?:ts|js|mjs)$/.test(name)),
      ),
    ).toEqual([]);
  });

  it("depends on exact versions", () => {
    const exact = /^\d+\.\d+\.\d+$/;
    for (const room of [".", ...rooms, "test"]) {
      const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = manifest(room);
      const versions = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
      expect([room, versions.filter(([, version]) => !exact.test(version))]).toEqual([room, []]);
    }
  });

  it("leaves the process to the files that are started: nothing else ends it or listens to its signals", () => {
    // The command's `relay.ts` hands on the signals that are for the relay that it runs.
    const started = /(?:^|\/)(?:main\.ts|bin\/lethe\.js|cli\/relay\.ts)$/;
    const owns = /\bprocess\.(?:exit\(|on\(|once\()/g;
    expect(
      breaches(products.flatMap(of), ({ path, text }) =>
        started.test(path.replaceAll(sep, "/")) ? [] : [...text.matchAll(owns)].map((m) => m[0]),
      ),
    ).toEqual([]);
  });
});
