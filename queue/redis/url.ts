// What a store's URL says: one server, a master that Sentinels watch, or a cluster; with or without TLS.
// Always true: what is malformed is refused here, by a message that never repeats the URL, which may hold a password.
import { StoreOpenError } from "../mailbox.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What tells a server from others. */
export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}

export interface Login {
  readonly username?: string;
  readonly password?: string;
}

interface Reached {
  readonly tls: boolean;
  readonly login: Login;
}

export type StoreUrl =
  | (Reached & { readonly is: "one"; readonly address: Address; readonly database: number })
  | (Reached & { readonly is: "sentinel"; readonly sentinels: readonly Address[]; readonly master: string })
  | (Reached & { readonly is: "cluster"; readonly nodes: readonly Address[] });

const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;
/** How many Sentinels or cluster nodes a URL may name: more than anybody runs for one store. */
const MAX_ADDRESSES = 64;
const FORM =
  /^(?<tls>rediss|redis)(?:-(?<kind>sentinel|cluster))?:\/\/(?:(?<login>[^@/]*)@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^/?#]*))?$/;
const HOST = /^(?<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?<port>\d{1,5}))?$/;

/** @throws StoreOpenError */
export function parseStoreUrl(url: string): StoreUrl {
  const found = FORM.exec(url)?.groups;
  if (found === undefined) throw malformed("it has none of the four forms");
  const { kind, hosts = "", path = "" } = found;
  const reached: Reached = { tls: found["tls"] === "rediss", login: loginOf(found["login"]) };
  const addresses = addressesOf(hosts, kind === "sentinel" ? SENTINEL_PORT : REDIS_PORT);
  if (kind === "sentinel") {
    if (path === "") throw malformed("the master's name is missing");
    return { ...reached, is: "sentinel", sentinels: addresses, master: decoded(path) };
  }
  if (kind === "cluster") {
    if (path !== "") throw malformed("a cluster has no numbered databases");
    return { ...reached, is: "cluster", nodes: addresses };
  }
  const [address, ...more] = addresses;
  if (address === undefined || more.length > 0) throw malformed("one server is one host");
  if (!/^\d{0,4}$/.test(path)) throw malformed("the database is not a number");
  return { ...reached, is: "one", address, database: Number(path) };
}

function addressesOf(hosts: string, defaultPort: number): Address[] {
  const names = hosts.split(",");
  if (names.length > MAX_ADDRESSES) throw malformed("it names too many hosts");
  return names.map((name) => {
    const { host, port = String(defaultPort) } = HOST.exec(name)?.groups ?? {};
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535) throw malformed("a host or port is");
    return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
  });
}

function loginOf(login: string | undefined): Login {
  if (login === undefined || login === "") return {};
  const at = login.indexOf(":");
  if (at < 0) return { password: decoded(login) };
  const username = decoded(login.slice(0, at));
  const password = decoded(login.slice(at + 1));
  return username === "" ? { password } : { username, password };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed("a percent sign in it is not an encoding");
  }
}

function malformed(why: string): StoreOpenError {
  const forms =
    "redis://, rediss://, redis-sentinel://host:port,host:port/master or redis-cluster://host:port";
  return new StoreOpenError("url-malformed", `the store's URL is malformed: ${why} (${forms})`);
}
