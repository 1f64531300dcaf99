// The fault proxy as a process of its own: its seed as the one argument, its control port on stdout. It ends when its
// standard input does, so that it never outlives whoever started it.
import { serveControl } from "./control.ts";
import { FaultProxy } from "./proxy.ts";

const { port } = await serveControl(new FaultProxy(Number(process.argv[2] ?? "1")));
process.stdout.write(`control ${port}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
