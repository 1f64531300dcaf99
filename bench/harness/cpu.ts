// CPU time of another process, as the operating system counts it: every thread, user and kernel.
// Always true: two readings of a process that lives differ by the time that its threads ran in between.
import { readdirSync, readFileSync } from "node:fs";

/** Length of a clock tick in /proc/PID/stat, s: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_SECONDS = 0.01;

/** Seconds of CPU that the process has used so far: nanoseconds of its threads, or its ticks where those are not kept. */
export function cpuSeconds(pid: number): number {
  return threadSeconds(pid) ?? tickSeconds(pid);
}

// proc(5): the first field of schedstat is the time spent on the CPU, ns. Node ends no threads while it runs.
function threadSeconds(pid: number): number | undefined {
  try {
    let nanoseconds = 0;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const fields = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ");
      nanoseconds += Number(fields[0]);
    }
    return nanoseconds > 0 ? nanoseconds / 1e9 : undefined;
  } catch {
    return undefined;
  }
}

// proc(5): utime and stime are fields 14 and 15; the command in parentheses may hold spaces.
function tickSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS;
}

/** Resident memory of the process, bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return Number(kib ?? 0) * 1_024;
}
