// CPU time of this process, user and kernel, for each of many repetitions of something: what else the machine does counts
// little. The first tenth warms up and is not counted.

/** Microseconds of CPU for each of `times` calls. */
export function cpuOf(times: number, run: (i: number) => void): number {
  const warmUp = Math.ceil(times / 10);
  for (let i = 0; i < warmUp; i++) run(i);
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) run(warmUp + i);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}
