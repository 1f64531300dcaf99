// What is wrong with a relay's settings and its machine, before it is started or beside a running one: each fault by name,
// with what mends it. Always true: it changes nothing that was there before.
import { X509Certificate, createPrivateKey } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, readdir, readFile, rm, stat, statfs, writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { OPERATOR_PATHS, PATHS } from "@lethe/protocol";
import { examineCluster } from "./doctor-cluster.ts";
import { examineMedia } from "./doctor-media.ts";
import { doubtful, type Finding, type Machine, well, wrong } from "./finding.ts";
import { openRegistrar } from "./http/registration.ts";
import { pinnedName } from "./pinned-name.ts";
import type { Settings } from "./settings.ts";

const MIB = 1_048_576;
/** Less free disk than this is doubtful. */
const LITTLE_ROOM = 512 * MIB;
/** A certificate that ends sooner is doubtful, ms. */
const SOON_MS = 14 * 86_400_000;
/** Files that a relay needs beside its connections. */
const OTHER_FILES = 200;
const PATIENCE_MS = 5_000;
/** Characters of an answer that are read. */
const MAX_ANSWER = 65_536;

export async function examine(settings: Settings, machine: Machine): Promise<Finding[]> {
  const answers = await answering(settings);
  return [
    node(machine),
    openFiles(settings, machine),
    ...machine.strangers.map(stranger),
    ...(await data(settings, answers === "this relay")),
    await port(settings, answers),
    ...(settings.tlsCert === "" ? [exposed(settings)] : [await certificate(settings, machine)]),
    ...(settings.registration === "jwt" ? [await keys(settings)] : []),
    ...(settings.store === "embedded" ? [] : await examineCluster(settings)),
    ...(await examineMedia(settings)),
  ];
}

function stranger(name: string): Finding {
  return doubtful(
    "settings",
    `${name} in the environment is no setting`,
    "lethe relay --help lists every setting",
  );
}

function node({ node: version }: Machine): Finding {
  const [major = 0] = version.split(".").map(Number);
  return major >= 24
    ? well("node", `Node ${version}`)
    : doubtful(
        "node",
        `Node ${version} is older than what the relay is tested with`,
        "use Node 24: npm start brings it",
      );
}

function openFiles({ connections }: Settings, machine: Machine): Finding {
  const needed = connections + OTHER_FILES;
  return machine.openFiles >= needed
    ? well("open files", `${machine.openFiles} may be open, ${needed} are needed`)
    : doubtful(
        "open files",
        `${machine.openFiles} may be open, --connections ${connections} needs ${needed}`,
        `ulimit -n ${needed} (systemd: LimitNOFILE=${needed}), or a lower --connections`,
      );
}

async function data({ data: folder, name }: Settings, running: boolean): Promise<Finding[]> {
  const path = resolve(folder);
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isDirectory())
    return [
      wrong("data folder", `${path} is not a folder`, "give another with --data, or move the file away"),
    ];
  const place = found === undefined ? await existing(dirname(path)) : path;
  try {
    await access(place, constants.R_OK | constants.W_OK | constants.X_OK);
    await probe(place);
    if (found !== undefined) await mayUseAll(path);
  } catch (error) {
    const { code: why = "unknown", path: at = place } = error as NodeJS.ErrnoException;
    return [
      wrong(
        "data folder",
        at === place ? `nothing can be written in ${place} (${why})` : `${at} cannot be used (${why})`,
        why === "EROFS" || why === "ENOSPC"
          ? "give a folder on another disk with --data, or make room"
          : `let the relay's user own it: chown -R USER ${place}, or give another with --data`,
      ),
    ];
  }
  const pinned = found === undefined ? undefined : await pinnedName(path);
  if (pinned !== undefined && pinned !== name)
    return [
      wrong(
        "name",
        `${path} belongs to the relay ${pinned}, and the settings name it ${name}`,
        `logins are bound to the name, which never changes: --name ${pinned}, or another folder with --data`,
      ),
    ];
  const { bavail, bsize } = await statfs(place);
  const free = bavail * bsize;
  const says = `${path}${found === undefined ? " will be made" : running ? " is in use by the relay that runs" : ""}`;
  return [
    well("data folder", says),
    free >= LITTLE_ROOM
      ? well("disk", `${Math.round(free / MIB)} MiB free`)
      : doubtful(
          "disk",
          `${Math.round(free / MIB)} MiB free: mail is refused before the disk is full`,
          "make room, or give a folder on another disk with --data",
        ),
  ];
}

/** A relay that was once run as somebody else has left files that only they may use. @throws the first that may not be used */
async function mayUseAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    await access(path, constants.R_OK | constants.W_OK);
    if (entry.isDirectory()) await mayUseAll(path);
  }
}

/** The folder itself or the nearest above it that is there. */
async function existing(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined && dirname(path) !== path ? existing(dirname(path)) : path;
}

async function probe(folder: string): Promise<void> {
  const trial = join(folder, `.lethe-doctor-${process.pid}`);
  await mkdir(trial);
  try {
    await writeFile(join(trial, "trial"), "x");
  } finally {
    await rm(trial, { recursive: true });
  }
}

function urlOf({ host, port, tlsCert }: Settings): string {
  const name =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `${tlsCert === "" ? "http" : "https"}://${name}:${port}`;
}

type Answering = "nobody" | "this relay" | "another relay";

/** Who listens at the port: whoever takes the token of this data folder is the relay that runs on it. */
async function answering(settings: Settings): Promise<Answering> {
  if (settings.port === 0) return "nobody";
  const policy = await ask(`${urlOf(settings)}${PATHS.policy}`);
  if (policy?.status !== 200 || !policy.body.includes('"lethe":"relay"')) return "nobody";
  const token = await readFile(join(settings.data, "admin-token"), "utf8").catch(() => "");
  const figures = await ask(`${urlOf(settings)}${OPERATOR_PATHS.adminFigures}`, `Bearer ${token.trim()}`);
  return figures?.status === 200 ? "this relay" : "another relay";
}

/** On this machine, whatever name the certificate has; undefined where nobody answers. */
function ask(url: string, authorization?: string): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const request = (url.startsWith("https:") ? https : http).get(url, {
      rejectUnauthorized: false,
      timeout: PATIENCE_MS,
      headers: authorization === undefined ? {} : { authorization },
    });
    request.on("error", () => resolve(undefined));
    request.on("timeout", () => request.destroy());
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
        if (body.length > MAX_ANSWER) request.destroy();
      });
      response.on("error", () => resolve(undefined));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
  });
}

function port(settings: Settings, answers: Answering): Promise<Finding> {
  const { host, port: number } = settings;
  if (answers === "this relay")
    return Promise.resolve(well("port", `the relay answers at ${urlOf(settings)}`));
  if (answers === "another relay")
    return Promise.resolve(
      wrong(
        "port",
        `another relay listens on ${number}, on another data folder`,
        "stop it, give its folder with --data, or another port with --port",
      ),
    );
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(whyNoPort(error.code, settings)));
    server.listen({ host, port: number }, () =>
      server.close(() =>
        resolve(well("port", number === 0 ? "a free one is taken" : `${host}:${number} is free`)),
      ),
    );
  });
}

function whyNoPort(code: string | undefined, { host, port: number }: Settings): Finding {
  switch (code) {
    case "EADDRINUSE":
      return wrong(
        "port",
        `${number} is taken by something that is no relay`,
        "stop it, or give another with --port",
      );
    case "EACCES":
      return wrong(
        "port",
        `not permitted to listen on ${number}`,
        "give a port above 1023, or the right to take it",
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return wrong(
        "port",
        `this machine has no address ${host}`,
        "give one that it has with --host, or 0.0.0.0 for all",
      );
    default:
      return wrong(
        "port",
        `${host}:${number} cannot be listened on (${code ?? "unknown"})`,
        "give others with --host and --port",
      );
  }
}

const LOCAL = /^(?:127\.|localhost$|::1$)/;

function exposed({ host, trustProxy }: Settings): Finding {
  if (LOCAL.test(host)) return well("TLS", "plain HTTP, for this machine alone");
  if (trustProxy) return well("TLS", "plain HTTP behind a proxy, which has to speak TLS");
  return doubtful(
    "TLS",
    `plain HTTP on ${host}: whoever is on the way sees who talks when, though never what`,
    "give --tls-cert and --tls-key, or put a proxy in front and say --trust-proxy on",
  );
}

async function certificate({ tlsCert, tlsKey }: Settings, { now }: Machine): Promise<Finding> {
  try {
    const shown = new X509Certificate(await readFile(tlsCert));
    const key = createPrivateKey(await readFile(tlsKey));
    if (!shown.checkPrivateKey(key))
      return wrong(
        "TLS",
        `${tlsKey} is not the key of ${tlsCert}`,
        "give the two files that were made together",
      );
    const ends = Date.parse(shown.validTo);
    if (Date.parse(shown.validFrom) > now)
      return wrong(
        "TLS",
        `the certificate begins on ${shown.validFrom}, and this machine says that it is ${new Date(now).toUTCString()}`,
        "set the clock right, or give a certificate that is valid now",
      );
    if (ends <= now)
      return wrong(
        "TLS",
        `the certificate ended on ${shown.validTo}`,
        "renew it, then send the relay SIGHUP",
      );
    if (ends - now < SOON_MS)
      return doubtful(
        "TLS",
        `the certificate ends on ${shown.validTo}`,
        "renew it, then send the relay SIGHUP",
      );
    return well("TLS", `certificate until ${shown.validTo}`);
  } catch (error) {
    return wrong("TLS", (error as Error).message, "give PEM files that the relay's user can read");
  }
}

async function keys({ jwtIssuer, jwtAudience, jwtKeys, jwtName }: Settings): Promise<Finding> {
  const mend = "give a JSON Web Key Set that can be read from here, as a file or an address, with --jwt-keys";
  try {
    if (/^https?:\/\//.test(jwtKeys)) {
      const answer = await fetch(jwtKeys, { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (answer.status !== 200) return wrong("login keys", `${jwtKeys} answers ${answer.status}`, mend);
      const set = (await answer.json()) as { keys?: unknown };
      if (!Array.isArray(set.keys)) return wrong("login keys", `${jwtKeys} holds no key set`, mend);
      return well("login keys", `${set.keys.length} keys at ${jwtKeys}`);
    }
    const token = { issuer: jwtIssuer, audience: jwtAudience, keys: jwtKeys, nameClaim: jwtName };
    await openRegistrar("jwt", token, Date.now);
    return well("login keys", `a key set in ${jwtKeys}`);
  } catch (error) {
    return wrong("login keys", `${jwtKeys}: ${(error as Error).message}`, mend);
  }
}
