// Builds the published client library: JavaScript and declarations by tsc, one folder as npm packs it, and with `--pack`
// the tarball. Always true: the tarball brings @lethe/protocol and @lethe/crypto within it and takes everything else from
// the registry at exact versions; nothing of the relay is in it. For bundles of browsers alone, it brings libsodium packed
// more densely (`pack-libsodium.mjs`). Extra: `--out FOLDER` (default: dist).
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packLibsodium } from "./pack-libsodium.mjs";
import { root } from "./run.mjs";

const { values } = parseArgs({
  options: { pack: { type: "boolean" }, out: { type: "string", default: "dist" } },
});
const out = resolve(root, values.out);
const compiled = join(out, "js");
const client = join(out, "client");

function run(command, args, cwd) {
  const shell = process.platform === "win32";
  const { status } = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2], shell });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}`);
}

const read = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
const write = (path, json) => writeFileSync(path, `${JSON.stringify(json, null, 2)}\n`);

/** tsc rewrites the endings of imports in JavaScript; in declarations it leaves the sources' own. */
function pointDeclarations(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.name.endsWith(".d.ts")) continue;
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace(/(from |import\()"(\.[^"]+)\.ts"/g, '$1"$2.js"'));
  }
}

/** A path of the sources as it is among what is published. */
const published = (path) => path.replace(/^\.\/(.*)\.ts$/, "./dist/$1.js");
const entry = (path) => ({ types: published(path).replace(/\.js$/, ".d.ts"), default: published(path) });

function exportsOf(manifest) {
  const main = manifest.exports["."];
  if (typeof main === "string") return { ".": entry(main) };
  return { ".": Object.fromEntries(Object.entries(main).map(([name, path]) => [name, entry(path)])) };
}

/** What the published package says of itself. */
function manifestOf(room) {
  const { private: _private, browser, ...manifest } = read(`${room}/package.json`);
  const map = Object.entries(browser ?? {});
  return {
    ...manifest,
    files: ["dist", "bin"],
    sideEffects: false,
    exports: exportsOf(manifest),
    ...(map.length === 0 ? {} : { browser: Object.fromEntries(map.map((pair) => pair.map(published))) }),
  };
}

function stage(room, folder, manifest) {
  mkdirSync(folder, { recursive: true });
  cpSync(join(compiled, room), join(folder, "dist"), { recursive: true });
  const readme = readFileSync(join(root, room, "README.md"), "utf8");
  // What a package brings within it lies elsewhere than in the sources.
  writeFileSync(
    join(folder, "README.md"),
    readme.replaceAll("](../protocol/", "](node_modules/@lethe/protocol/"),
  );
  cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  write(join(folder, "package.json"), manifest);
}

/** Bundlers for browsers take it where `crypto` says `libsodium`; Node takes the registry's own. */
function stageLibsodium(folder) {
  const from = join(root, "node_modules", "libsodium");
  const source = readFileSync(join(from, "dist", "modules-esm", "libsodium.mjs"), "utf8");
  const packed = packLibsodium(source, readFileSync(join(from, "LICENSE"), "utf8"));
  writeFileSync(join(folder, "dist", "libsodium-packed.js"), packed);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  // Its own map too, for what it takes of Node.
  const browser = {
    ...read("node_modules/libsodium/package.json").browser,
    libsodium: "./dist/libsodium-packed.js",
  };
  write(join(folder, "package.json"), { ...manifest, browser });
}

rmSync(compiled, { recursive: true, force: true });
rmSync(client, { recursive: true, force: true });
run("tsc", ["-p", "client-lib/tsconfig.build.json", "--outDir", compiled], root);
pointDeclarations(compiled);

const within = ["protocol", "crypto"];
const own = manifestOf("client-lib");
const inner = within.map((room) => [room, manifestOf(room)]);
const dependencies = Object.assign(
  {},
  own.dependencies,
  ...inner.map(([, { dependencies }]) => dependencies),
);
const sorted = Object.fromEntries(Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1)));
stage("client-lib", client, {
  ...own,
  dependencies: sorted,
  bundleDependencies: inner.map(([, { name }]) => name),
});
for (const [room, manifest] of inner) stage(room, join(client, "node_modules", manifest.name), manifest);
stageLibsodium(join(client, "node_modules", "@lethe/crypto"));
cpSync(join(root, "client-lib", "bin"), join(client, "bin"), { recursive: true });
// Bundlers look for their map, and the command for its version, in the nearest package.json.
const { version, type, browser } = own;
const nearest = Object.entries(browser).map((pair) => pair.map((path) => path.replace("./dist/", "./")));
write(join(client, "dist", "package.json"), { version, type, browser: Object.fromEntries(nearest) });
if (values.pack) run("npm", ["pack", client, "--pack-destination", out, "--loglevel=error"], root);
console.log(values.pack ? join(out, `lethe-client-${version}.tgz`) : client);
