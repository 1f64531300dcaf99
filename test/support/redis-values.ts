// What a Redis server holds of mail, looked at key by key.
import { Redis } from "ioredis";

/** Every mailbox's entries, and every payload that entries refer to. */
export async function valuesOf({ port }: { readonly port: number }): Promise<Buffer[]> {
  const redis = new Redis({ host: "127.0.0.1", port });
  try {
    const values: Buffer[] = [];
    for (const key of await keysOf(redis, "m"))
      for (const [, fields] of await redis.xrangeBuffer(key, "-", "+")) values.push(...fields.slice(1));
    for (const key of await keysOf(redis, "P")) values.push((await redis.getBuffer(key)) ?? Buffer.alloc(0));
    return values;
  } finally {
    redis.disconnect();
  }
}

/** The keys of one letter; see queue/redis/keys.ts. */
export async function keysOf(redis: Redis, letter: string): Promise<Buffer[]> {
  const keys: Buffer[] = [];
  for await (const some of redis.scanBufferStream({ match: `l{??}${letter}*`, count: 1_000 }))
    keys.push(...(some as Buffer[]));
  return keys;
}
