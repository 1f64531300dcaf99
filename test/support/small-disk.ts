// A file system of a few megabytes in memory, for disks that become full. Mounting takes rights that not everybody has.
import { execFileSync } from "node:child_process";
import { aFolder } from "./folder.ts";

export interface Disk extends AsyncDisposable {
  readonly path: string;
}

/** A file system of its own in memory, or why there is none. */
export async function aSmallDisk(megabytes: number): Promise<Disk | string> {
  const folder = await aFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs", folder.path], {
      stdio: "pipe",
    });
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    return `no file system can be mounted here: ${String(error).split("\n")[0]}`;
  }
  return {
    path: folder.path,
    async [Symbol.asyncDispose]() {
      execFileSync("umount", ["--lazy", folder.path]);
      await folder[Symbol.asyncDispose]();
    },
  };
}
