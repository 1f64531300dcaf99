import { aFolder, RELAY_NAME, startServer } from "./harness/server.ts";
import { FULL } from "./harness/case.ts";
import { register } from "./load/account.ts";
import { spawnSync } from "node:child_process";
const context = { scale: FULL, profile: undefined, note: console.log };
await using folder = await aFolder();
const relay = await startServer("../../relay/main.ts", ["--port", "0", "--data", folder.path, "--name", RELAY_NAME, "--connections", "15100"], context);
console.log(relay.pid);
try { await register(relay.url, 15000); console.log("ok"); } catch (e) { console.log(e); console.log(spawnSync("ps", ["-p", String(relay.pid), "-o", "pid,stat,etime,cmd"]).stdout.toString()); }
await relay[Symbol.asyncDispose]();
