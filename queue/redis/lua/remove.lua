#!lua flags=allow-oom
-- Removes entries, each named by its position and its id; what fits nothing is left alone.
-- USES: clock, record, counters, mailbox
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, items: count I2, (position I6, id of 16 bytes)...
-- RETURNS: how many entries were removed
local now, items, at, removed = clock(ARGV[1]), ARGV[2], 1, 0
for i = 1, (#KEYS - 1) / 2 do
  local owner, mailbox = KEYS[2 * i], KEYS[2 * i + 1]
  local count, start = struct.unpack('>I2', items, at)
  local ids, bytes, seen = {}, 0, {}
  for j = 1, count do
    local position, id
    position, id, start = struct.unpack('>I6c16', items, start)
    local place = string.format('%.0f', position)
    local entry = redis.call('XRANGE', mailbox, place, place)[1]
    if entry and not seen[place] and string.sub(entry[2][2], 1, 16) == id then
      seen[place] = true
      ids[#ids + 1] = entry[1]
      bytes = bytes + #entry[2][2] - HEADER
    end
  end
  at = start
  local r = #ids > 0 and recall(owner)
  if r then
    removed = removed + #ids
    drop(mailbox, r, ids, bytes)
    note(owner, r)
  end
end
count_up(KEYS[1], now)
return removed
