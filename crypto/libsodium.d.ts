// libsodium's raw module comes without types: a factory; `sodium.ts` knows the exports that it uses.
declare module "libsodium" {
  /** A new instance with memory of its own. `getRandomValue`: 32 random bits. */
  export default function instantiate(platform: { getRandomValue: () => number }): Promise<object>;
}
