// The slot of a key in a Redis Cluster: CRC16 (XMODEM) of its hash tag, modulo 16,384.

const slotsByTag = new Map<string, number>();

/** Of a key of ours: its hash tag is the two digits of its shard, `l{HH}`. */
export function slotOf(key: Buffer): number {
  const tag = key.toString("latin1", 2, 4);
  let slot = slotsByTag.get(tag);
  if (slot === undefined) {
    slot = crc16(tag) % 16_384;
    slotsByTag.set(tag, slot);
  }
  return slot;
}

function crc16(text: string): number {
  let crc = 0;
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff;
  }
  return crc;
}
