// Every setting of the relay, in one table: flag, environment variable, default, meaning. Flags count before the
// environment, the environment before the file, the file before defaults. Always true: all faults are reported together.
import { parseArgs, parseEnv } from "node:util";
import {
  MAX_ENVELOPE_BYTES,
  MAX_RELAY_NAME_BYTES,
  MAX_TTL_MS,
  type RegistrationPolicy,
} from "@lethe/protocol";
import { DEFAULT_MAILBOX_LIMITS } from "@lethe/queue";
import type { Level } from "./log.ts";
import { MEDIA_SETTINGS, mediaFaults } from "./media/settings.ts";
import { anything, integer, oneOf, onOff, type Row, row, string } from "./setting.ts";

const rate = integer(1, 1_000_000_000);

const POLICIES: readonly RegistrationPolicy[] = ["open", "invite", "jwt", "closed"];

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error", "silent"];

export const SETTINGS = {
  host: row(
    "host",
    "127.0.0.1",
    "address",
    "Address to listen on; 0.0.0.0 for every interface",
    string(/^[\w.:-]{1,255}$/, "an address"),
  ),
  port: row("port", 8787, "port", "Port to listen on; 0 takes a free one", integer(0, 65_535)),
  store: row(
    "store",
    "embedded",
    "store",
    "Where mail and accounts are kept: embedded (in the data folder), or redis://, rediss://, redis-sentinel://host:port,host:port/master, redis-cluster://host:port,host:port, which any number of nodes share",
    string(/^(?:embedded|rediss?(?:-sentinel|-cluster)?:\/\/\S{1,2000})$/, "embedded, or the URL of a Redis"),
  ),
  storeReplicas: row(
    "store-replicas",
    0,
    "replicas",
    "With Redis: replicas that must have a write before it is accepted",
    integer(0, 16),
  ),
  storeRewrite: row(
    "store-rewrite",
    300,
    "seconds",
    "With Redis: pause between two rewrites of its append-only files, by which they forget what was delivered",
    integer(5, 86_400),
  ),
  linkHost: row(
    "link-host",
    "127.0.0.1",
    "address",
    "With Redis: address to listen on for the other nodes; never one that clients reach",
    string(/^[\w.:-]{1,255}$/, "an address"),
  ),
  linkPort: row(
    "link-port",
    8_788,
    "port",
    "With Redis: port to listen on for the other nodes; 0 takes a free one",
    integer(0, 65_535),
  ),
  linkAddress: row(
    "link-address",
    "",
    "url",
    "With Redis: where other nodes reach this one, like ws://relay-1:8788; made from host and port if not given",
    string(
      /^(?:wss?:\/\/[\w.-]{1,255}:\d{1,5}|wss?:\/\/\[[0-9a-fA-F:.]+\]:\d{1,5})?$/,
      "ws://host:port or wss://host:port",
    ),
  ),
  linkCert: row(
    "link-cert",
    "",
    "file",
    "Certificate chain (PEM) of the links' port: nodes speak TLS to each other",
    anything,
  ),
  linkKey: row("link-key", "", "file", "Private key of that certificate (PEM)", anything),
  linkCa: row(
    "link-ca",
    "",
    "file",
    "Authorities (PEM) that other nodes' certificates are held against; none given: the system's",
    anything,
  ),
  clusterSecret: row(
    "cluster-secret",
    "",
    "secret",
    "With Redis: what all nodes know and nobody else, at least 32 characters; better in the file or environment than in a flag",
    string(/^(?:.{32,1024})?$/, "32 to 1024 characters"),
  ),
  data: row(
    "data",
    "lethe-data",
    "folder",
    "Folder of undelivered mail and public keys",
    string(/^.{1,4096}$/s, "a folder"),
  ),
  name: row(
    "name",
    "lethe.local",
    "name",
    "The relay's name, which logins are bound to; the same on all nodes, never changed",
    string(new RegExp(`^[A-Za-z0-9.:-]{1,${MAX_RELAY_NAME_BYTES}}$`), "a host name"),
  ),
  envelopeBytes: row(
    "envelope-bytes",
    MAX_ENVELOPE_BYTES,
    "bytes",
    "Largest envelope",
    integer(1_024, MAX_ENVELOPE_BYTES),
  ),
  ttl: row("ttl", MAX_TTL_MS / 1_000, "s", "Longest time that mail is kept", integer(60, MAX_TTL_MS / 1_000)),
  mailboxEnvelopes: row(
    "mailbox-envelopes",
    DEFAULT_MAILBOX_LIMITS.envelopes,
    "envelopes",
    "Undelivered envelopes of a device",
    integer(1, 1_000_000),
  ),
  mailboxBytes: row(
    "mailbox-bytes",
    DEFAULT_MAILBOX_LIMITS.bytes,
    "bytes",
    "Undelivered bytes of a device",
    integer(1_024, 2 ** 40),
  ),
  idleDays: row(
    "idle-days",
    180,
    "days",
    "Accounts without a connection for so long are removed with everything of theirs; 0: never",
    integer(0, 36_500),
  ),
  liveWindow: row(
    "live-window",
    2_000,
    "ms",
    "First live window; 0 stores everything before it is pushed",
    integer(0, 5_000),
  ),
  ping: row("ping", 30_000, "ms", "Silence after which a connection is ended", integer(1_000, 600_000)),
  connections: row("connections", 15_000, "connections", "Connections at one node", integer(1, 1_000_000)),
  prekeyFetches: row(
    "prekey-fetches",
    6,
    "requests",
    "Prekey requests for one device at once from one address or account; one more each 10 min",
    integer(1, 1_000_000),
  ),
  requestRate: row(
    "request-rate",
    20,
    "per-hour",
    "Envelopes an hour, and at once, from one account to another without its access key",
    integer(1, 1_000_000),
  ),
  requestsDaily: row(
    "requests-daily",
    200,
    "per-day",
    "Envelopes a day, and at once, from one account to all others without their access keys",
    integer(1, 1_000_000),
  ),
  connectionRate: row("connection-rate", 10_000, "per-second", "Envelopes a second of one connection", rate),
  accountRate: row("account-rate", 5_000, "per-second", "Envelopes a second to one account", rate),
  addressRate: row("address-rate", 20_000, "per-second", "Envelopes a second of one network address", rate),
  addressConnections: row(
    "address-connections",
    1_000,
    "connections",
    "Connections of one network address",
    integer(1, 1_000_000),
  ),
  addressUnproven: row(
    "address-unproven",
    100,
    "connections",
    "Connections of one network address that have not greeted or proved themselves",
    integer(1, 1_000_000),
  ),
  unproven: row(
    "unproven",
    5_000,
    "connections",
    "Connections of all addresses that have not greeted or proved themselves",
    integer(1, 1_000_000),
  ),
  addressRegistrations: row(
    "address-registrations",
    60,
    "per-hour",
    "Accounts that one network address may register in an hour",
    integer(1, 1_000_000),
  ),
  limitLocal: row("limit-local", false, "on|off", "Limit this machine's own addresses too", onOff),
  trustProxy: row(
    "trust-proxy",
    false,
    "on|off",
    "Behind one proxy: take the last address of X-Forwarded-For for the client's",
    onOff,
  ),
  origins: row(
    "origins",
    "",
    "origins",
    "Web pages that may connect, by origin, with commas; none named: all",
    string(
      /^(?:https?:\/\/[^\s,/]+(?:,https?:\/\/[^\s,/]+)*)?$/,
      "origins like https://chat.example, with commas",
    ),
  ),
  tlsCert: row("tls-cert", "", "file", "Certificate chain (PEM): the relay speaks TLS itself", anything),
  tlsKey: row("tls-key", "", "file", "Private key of the certificate (PEM)", anything),
  registration: row<RegistrationPolicy>(
    "registration",
    "open",
    "who",
    "Who may register: open, invite (lethe admin invite), jwt (your own login), closed",
    oneOf(POLICIES),
  ),
  jwtIssuer: row("jwt-issuer", "", "iss", "With jwt: the issuer that tokens must name", anything),
  jwtAudience: row("jwt-audience", "", "aud", "With jwt: the audience that tokens must name", anything),
  jwtKeys: row(
    "jwt-keys",
    "",
    "jwks",
    "With jwt: the issuer's JSON Web Key Set, a file or an address",
    anything,
  ),
  jwtName: row("jwt-name", "sub", "claim", "With jwt: the claim that holds the user's name here", anything),
  ...MEDIA_SETTINGS,
  log: row<string>("log", "warn", "level", `What is logged: ${LEVELS.join(", ")}`, oneOf(LEVELS)),
} as const;

export type SettingName = keyof typeof SETTINGS;
type Value<N extends SettingName> = (typeof SETTINGS)[N] extends Row<infer T> ? T : never;
export type Settings = { readonly [N in SettingName]: Value<N> };

export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}

const NAMES = Object.keys(SETTINGS) as SettingName[];

/** The file's flag and variable; the file itself cannot name another. */
const CONFIG = { flag: "config", env: "LETHE_CONFIG" } as const;

/**
 * The settings from flags, else the environment, else the file that `--config` or LETHE_CONFIG names, else defaults. The
 * file holds lines `LETHE_NAME=value`, as systemd's EnvironmentFile and Docker's env_file do.
 *
 * @param readFile gives a file's text, or throws.
 * @throws SettingsError with every fault at once.
 */
export function readSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Settings {
  const faults: string[] = [];
  const flags = flagsOf(args, faults);
  const path = flags[CONFIG.flag] ?? env[CONFIG.env];
  const file = path === undefined ? {} : fileOf(path, readFile, faults);
  const out: Record<string, unknown> = {};
  for (const name of NAMES) {
    const setting = SETTINGS[name] as Row<unknown>;
    const text = flags[setting.flag] ?? env[setting.env] ?? file[setting.env];
    const value = text === undefined ? setting.fallback : setting.read(text);
    if (typeof value === "object" && value !== null && "fault" in value)
      faults.push(`--${setting.flag} (${setting.env}) ${String(value.fault)}`);
    out[name] = value;
  }
  if (faults.length === 0) faults.push(...togetherFaults(out as Settings));
  if (faults.length > 0) throw new SettingsError(faults);
  return Object.freeze(out) as Settings;
}

/** Faults of settings that are each right by itself. */
function togetherFaults(settings: Settings): string[] {
  const needed = (names: readonly SettingName[], by: string): string[] =>
    names
      .filter((name) => settings[name] === "")
      .map((name) => `--${SETTINGS[name].flag} (${SETTINGS[name].env}) is needed with ${by}`);
  return [
    ...(settings.registration === "jwt"
      ? needed(["jwtIssuer", "jwtAudience", "jwtKeys", "jwtName"], "--registration jwt")
      : []),
    ...(settings.tlsCert === "" ? [] : needed(["tlsKey"], "--tls-cert")),
    ...(settings.tlsKey === "" ? [] : needed(["tlsCert"], "--tls-key")),
    ...(settings.linkCert === "" ? [] : needed(["linkKey"], "--link-cert")),
    ...(settings.linkKey === "" ? [] : needed(["linkCert"], "--link-key")),
    ...(settings.store === "embedded" ? [] : needed(["clusterSecret"], "--store redis")),
    ...(settings.store === "embedded" && settings.clusterSecret !== ""
      ? ["--cluster-secret (LETHE_CLUSTER_SECRET) is for nodes that share a --store"]
      : []),
    ...(settings.linkPort !== 0 && settings.linkPort === settings.port && settings.store !== "embedded"
      ? ["--link-port (LETHE_LINK_PORT) is another port than the clients'"]
      : []),
    ...mediaFaults(settings),
  ];
}

function fileOf(
  path: string,
  readFile: (path: string) => string,
  faults: string[],
): Readonly<Record<string, string | undefined>> {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    faults.push(`--${CONFIG.flag} (${CONFIG.env}): ${(error as Error).message}`);
    return {};
  }
  const file = parseEnv(text);
  const known = new Set<string>(NAMES.map((name) => SETTINGS[name].env));
  for (const name of Object.keys(file).toSorted())
    if (!known.has(name)) faults.push(`${path}: no setting is called ${name}`);
  return file;
}

function flagsOf(args: readonly string[], faults: string[]): Record<string, string | undefined> {
  const names = [CONFIG.flag, ...NAMES.map((name) => SETTINGS[name].flag)];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values as Record<
      string,
      string | undefined
    >;
  } catch (error) {
    faults.push((error as Error).message);
    return {};
  }
}

/** Flag, variable, default and meaning of every setting, the file's first. */
export function settingsRows(): { flag: string; env: string; fallback: string; says: string }[] {
  return [
    { flag: "--config FILE", env: CONFIG.env, fallback: "", says: "File of lines LETHE_NAME=value" },
    ...NAMES.map((name) => SETTINGS[name]).map((s) => ({
      flag: `--${s.flag} ${s.unit.toUpperCase()}`,
      env: s.env,
      fallback: typeof s.fallback === "boolean" ? (s.fallback ? "on" : "off") : String(s.fallback),
      says: s.says,
    })),
  ];
}

/** The table of settings in Markdown, for docs/operations.md. */
export function settingsTable(): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  return [
    "| flag | environment | default | meaning |",
    "| --- | --- | --- | --- |",
    ...settingsRows().map(
      ({ flag, env, fallback, says }) =>
        `| \`${cell(flag)}\` | \`${env}\` | ${fallback === "" ? "" : `\`${cell(fallback)}\``} | ${cell(says)} |`,
    ),
  ].join("\n");
}

/** The table of settings as `--help` prints it. */
export function settingsHelp(): string {
  const rows = settingsRows().map(({ flag, env, fallback, says }) => [flag, env, fallback, says]);
  const width = [0, 1, 2].map((i) => Math.max(...rows.map((r) => (r[i] as string).length)));
  return rows
    .map((r) => `  ${r.map((cell, i) => (i < 3 ? cell.padEnd(width[i] as number) : cell)).join("  ")}`)
    .join("\n");
}

/** The variable that a setting is known by. */
export function nameOf(setting: SettingName): string {
  return SETTINGS[setting].env;
}

/** Of the caller's own, for tests and benchmarks; not settings of a relay. */
const NOT_OURS = /^LETHE_(?:BENCH|LONG|SEED|TEST|CONFIG)/;

/** Variables of the environment that look like settings and are none: most likely misspelt. */
export function strangers(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set<string>(NAMES.map((name) => SETTINGS[name].env));
  return Object.keys(env)
    .filter((name) => name.startsWith("LETHE_") && !known.has(name) && !NOT_OURS.test(name))
    .toSorted();
}
