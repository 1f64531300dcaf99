// Maps of what was used last. Always true: no more is in one than its cap, and what has not been used for longest gives way.

/** The key's value from now on, as the one used last. */
export function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value as Key);
}
