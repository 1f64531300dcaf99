// Which versions of the protocol this code speaks, and how two ranges agree on one.

export const MIN_VERSION = 1;
export const MAX_VERSION = 1;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

export const OWN_VERSIONS: VersionRange = { min: MIN_VERSION, max: MAX_VERSION };

/** The highest version in both ranges, undefined where there is none (clause V-AGREE). */
export function agreeOn(theirs: VersionRange, ours: VersionRange = OWN_VERSIONS): number | undefined {
  const version = Math.min(theirs.max, ours.max);
  return version >= Math.max(theirs.min, ours.min) ? version : undefined;
}
